"""The modern recipe: from gibberish to plays in the time that a coffee takes to pour.

Sizes, rates and length are what brought Tiny Shakespeare to the loss of nanoGPT's recipe for a CPU
in the shortest time on two cores: benchmarks/README.md. More steps go on learning.
"""

from playattention.config import DataConfig, ModernConfig, RunConfig, TrainConfig

RECIPE = RunConfig(
    model=ModernConfig(n_layer=3),
    data=DataConfig(dataset="tinyshakespeare", tokenizer="char"),
    train=TrainConfig(
        optimizer="muon",
        steps=350,
        batch_size=12,
        learning_rate=1e-2,
        min_learning_rate=2e-4,
        warmup_steps=20,
        schedule="linear",
        betas=(0.9, 0.95),
    ),
)

if __name__ == "__main__":
    from playattention.training.loop import train

    train(RECIPE)
