"""The GPT recipe: Tiny Shakespeare, character by character, in minutes on a laptop's CPU."""

from playattention.config import DataConfig, GPTConfig, RunConfig, TrainConfig

RECIPE = RunConfig(
    model=GPTConfig(n_layer=4, n_head=4, n_embd=128, seq_size=64),
    data=DataConfig(dataset="tinyshakespeare", tokenizer="char"),
    train=TrainConfig(
        steps=2000,
        batch_size=12,
        learning_rate=1e-3,
        min_learning_rate=1e-4,
        warmup_steps=100,
        betas=(0.9, 0.99),
        weight_decay=0.1,
    ),
)

if __name__ == "__main__":
    from playattention.training.loop import train

    train(RECIPE)
