"""The GPT-2 recipe: byte-pair tokens and the small model of 124M weights.

The batch of half a million tokens, the learning rate and its schedule are GPT-3's for this size
(Brown et al. 2020, table 2.1 and appendix B), as GPT-2's own were not published.
"""

from playattention.config import DataConfig, GPT2Config, RunConfig, TrainConfig

RECIPE = RunConfig(
    model=GPT2Config.preset("gpt2"),
    data=DataConfig(dataset="tinyshakespeare", tokenizer="gpt2"),
    train=TrainConfig(
        steps=19_073,  # 10 billion tokens
        batch_size=16,
        tokens_per_step=524_288,
        learning_rate=6e-4,
        min_learning_rate=6e-5,
        warmup_steps=715,  # 375 million tokens
        betas=(0.9, 0.95),
        weight_decay=0.1,
    ),
)

if __name__ == "__main__":
    from playattention.training.loop import train

    train(RECIPE)
