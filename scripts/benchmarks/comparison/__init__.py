"""The same sweep in three ways: Hydra, PyTorch and MLflow as most write it; scikit-learn's grid search; nnexp."""
