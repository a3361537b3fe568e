"""The modern recipe: from gibberish to plays in the time that a coffee takes to pour.

Sizes, rates and length are what brought Tiny Shakespeare to the loss of nanoGPT's recipe for a CPU
in the shortest time on two cores: benchmarks/README.md. More steps go on learning.
"""

from playattention.config import DataConfig, ModernConfig, RunConfig, TrainConfig

RECIPE = RunConfig(
    model=ModernConfig(n_layer=2),
    data=DataConfig(dataset="tinyshakespeare", tokenizer="char"),
    train=TrainConfig(
        optimizer="muon",
        steps=450,
        batch_size=8,
        learning_rate=1e-2,
        min_learning_rate=2e-4,
        warmup_steps=20,
        schedule="linear",
        betas=(0.8, 0.95),
        momentum=0.9,
        weight_decay=0.0,
    ),
)

if __name__ == "__main__":
    from playattention.training.loop import train

    train(RECIPE)
