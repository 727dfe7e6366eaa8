"""One training a job, as most people write it: Hydra's basic launcher, PyTorch, a metric logged at a time."""

from __future__ import annotations

import hydra
import mlflow
import torch
from omegaconf import DictConfig
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.comparison.parts import parts

OPTIMIZERS = {
    "sgd": lambda weights, lr: torch.optim.SGD(weights, lr=lr),
    "momentum": lambda weights, lr: torch.optim.SGD(weights, lr=lr, momentum=0.9),
    "nesterov": lambda weights, lr: torch.optim.SGD(weights, lr=lr, momentum=0.9, nesterov=True),
    "adam": lambda weights, lr: torch.optim.Adam(weights, lr=lr),
}


def tensors() -> dict[str, TensorDataset]:
    """Return the three parts of the data."""
    return {name: TensorDataset(torch.tensor(X), torch.tensor(y)) for name, (X, y) in parts().items()}


def train_epoch(model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer) -> tuple[float, float]:
    """Train an epoch; return loss and accuracy."""
    model.train()
    loss_sum, right, count = 0.0, 0, 0
    for X, y in loader:
        optimizer.zero_grad()
        logits = model(X)
        loss = nn.functional.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(y)
        right += (logits.argmax(1) == y).sum().item()
        count += len(y)
    return loss_sum / count, right / count


def evaluate(model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Return loss and accuracy."""
    model.eval()
    loss_sum, right, count = 0.0, 0, 0
    with torch.no_grad():
        for X, y in loader:
            logits = model(X)
            loss_sum += nn.functional.cross_entropy(logits, y).item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
            count += len(y)
    return loss_sum / count, right / count


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Train one network and log it."""
    torch.set_num_threads(1)  # faster for such networks than the two that PyTorch would take
    torch.manual_seed(config.seed)
    data = tensors()
    loaders = {name: DataLoader(data[name], config.batch_size, shuffle=name == "train") for name in data}
    model = nn.Sequential(nn.Linear(64, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 10))
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), config.lr)
    with mlflow.start_run():
        mlflow.log_params(dict(config))
        for epoch in range(1, config.epochs + 1):
            train_loss, train_acc = train_epoch(model, loaders["train"], optimizer)
            val_loss, val_acc = evaluate(model, loaders["val"])
            mlflow.log_metric("train/loss", train_loss, step=epoch)
            mlflow.log_metric("train/acc", train_acc, step=epoch)
            mlflow.log_metric("val/loss", val_loss, step=epoch)
            mlflow.log_metric("val/acc", val_acc, step=epoch)
        mlflow.log_metric("test/acc", evaluate(model, loaders["test"])[1])


if __name__ == "__main__":
    main()
