"""Token by token."""

from playattention.errors import UserError
from playattention.playground.answers_training import Generated
from playattention.playground.changes import parse
from playattention.playground.looks import encoded
from playattention.playground.requests import GenerateBody
from playattention.playground.routes import Asked, group
from playattention.playground.writing import written

router = group("writing")


@router.post("/generate")
def generate(asked: Asked, body: GenerateBody) -> Generated:
    """Draw the next token of a text, and tell how it came to be drawn."""
    opened = asked.open(body.run, body.step)
    ids = encoded(opened, body.text) if body.ids is None else body.ids
    if not ids:
        raise UserError("ids = []: must be one token at least")
    changes = parse(body.change)
    return asked.alone.do(lambda: written(opened, changes, body, ids))
