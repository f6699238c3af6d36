"""The sizes a model comes in: from one that a unit test trains to the published ViT-B/32 and ResNet-50."""

from dataclasses import dataclass
from typing import Any, Literal, get_args


@dataclass(frozen=True)
class ModelSize:
    """One size of both image towers, the text tower and the heads.

    Attributes:
        vit_pixels: Side of the square image of the vision transformer.
        patch_pixels: Side of its patches.
        vit_layers: Its blocks.
        vit_width: Its width.
        vit_heads: Its attention heads.
        resnet_pixels: Side of the square image of the modified ResNet, a multiple of 32.
        resnet_token_pixels: The side at which variants that contrast its tokens are compared: each 32 pixels give one.
        resnet_layers: Blocks of its four stages.
        resnet_width: Its width; the last stage has 32 times as many channels.
        resnet_heads: Heads of its attention pooling.
        text_layers: Blocks of the text transformer.
        text_width: Its width.
        text_heads: Its attention heads.
        context_length: Tokens of a text, with the start and end token.
        vit_embedding: Width of the embedding that image and text share, with the vision transformer.
        resnet_embedding: The same with the ResNet.
        token_embedding: Width of the token embeddings of FILIP.
        simclr_hidden: Width of the SimCLR head's two hidden layers.
        simclr_output: Width of its output.
        simsiam_hidden: Width of SimSiam's projector and of the predictor's output.
        simsiam_bottleneck: Width of the predictor's hidden layer.
        queue_size: Text embeddings in the nearest-neighbour queue.
        filip_topk: Tokens of each image and text that FILIP's other side may be matched with.
        batch_size: Samples per process and step, where the configuration names none.
    """

    vit_pixels: int
    patch_pixels: int
    vit_layers: int
    vit_width: int
    vit_heads: int
    resnet_pixels: int
    resnet_token_pixels: int
    resnet_layers: tuple[int, int, int, int]
    resnet_width: int
    resnet_heads: int
    text_layers: int
    text_width: int
    text_heads: int
    context_length: int
    vit_embedding: int
    resnet_embedding: int
    token_embedding: int
    simclr_hidden: int
    simclr_output: int
    simsiam_hidden: int
    simsiam_bottleneck: int
    queue_size: int
    filip_topk: int
    batch_size: int

    def pixels(self, image_tower: Literal["vit", "resnet"]) -> int:
        """Side of the square images that an image tower takes."""
        return self.vit_pixels if image_tower == "vit" else self.resnet_pixels


ModelSizeName = Literal["unit", "tiny", "small", "full"]
_TABLE: dict[str, tuple[Any, ...]] = {
    "vit_pixels": (32, 32, 64, 224),
    "patch_pixels": (8, 8, 8, 32),
    "vit_layers": (1, 4, 6, 12),
    "vit_width": (32, 128, 192, 768),
    "vit_heads": (2, 4, 3, 12),
    "resnet_pixels": (64, 64, 96, 224),
    "resnet_token_pixels": (64, 96, 128, 224),
    "resnet_layers": ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1), (3, 4, 6, 3)),
    "resnet_width": (8, 16, 32, 64),
    "resnet_heads": (4, 8, 16, 32),
    "text_layers": (1, 2, 4, 12),
    "text_width": (32, 128, 128, 512),
    "text_heads": (2, 4, 4, 8),
    "context_length": (16, 16, 32, 77),
    "vit_embedding": (32, 128, 128, 512),
    "resnet_embedding": (32, 128, 128, 1024),
    "token_embedding": (16, 32, 32, 256),
    "simclr_hidden": (64, 256, 256, 4096),
    "simclr_output": (32, 64, 64, 256),
    "simsiam_hidden": (64, 128, 128, 1024),
    "simsiam_bottleneck": (32, 64, 64, 512),
    "queue_size": (64, 1024, 2048, 65536),
    "filip_topk": (3, 4, 16, 16),
    "batch_size": (8, 64, 64, 128),
}
MODEL_SIZES: dict[ModelSizeName, ModelSize] = {
    name: ModelSize(**{field: values[column] for field, values in _TABLE.items()})
    for column, name in enumerate(get_args(ModelSizeName))
}
"""`full` is the published model of arXiv 2203.05796; the others keep its proportions."""
