"""The sizes a model comes in: from one that a unit test trains to the published ViT-B/32 and ResNet-50."""

from dataclasses import dataclass


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
        resnet_token_pixels: The same where image tokens are contrasted, since 64 pixels give only four tokens.
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


MODEL_SIZES = {
    "unit": ModelSize(
        vit_pixels=32,
        patch_pixels=8,
        vit_layers=1,
        vit_width=32,
        vit_heads=2,
        resnet_pixels=64,
        resnet_token_pixels=64,
        resnet_layers=(1, 1, 1, 1),
        resnet_width=8,
        resnet_heads=4,
        text_layers=1,
        text_width=32,
        text_heads=2,
        context_length=16,
        vit_embedding=32,
        resnet_embedding=32,
        token_embedding=16,
        simclr_hidden=64,
        simclr_output=32,
        simsiam_hidden=64,
        simsiam_bottleneck=32,
        queue_size=64,
        filip_topk=3,
        batch_size=8,
    ),
    "tiny": ModelSize(
        vit_pixels=32,
        patch_pixels=8,
        vit_layers=4,
        vit_width=128,
        vit_heads=4,
        resnet_pixels=64,
        resnet_token_pixels=96,
        resnet_layers=(1, 1, 1, 1),
        resnet_width=16,
        resnet_heads=8,
        text_layers=2,
        text_width=128,
        text_heads=4,
        context_length=16,
        vit_embedding=128,
        resnet_embedding=128,
        token_embedding=32,
        simclr_hidden=256,
        simclr_output=64,
        simsiam_hidden=128,
        simsiam_bottleneck=64,
        queue_size=1024,
        filip_topk=4,
        batch_size=64,
    ),
    "small": ModelSize(
        vit_pixels=64,
        patch_pixels=8,
        vit_layers=6,
        vit_width=192,
        vit_heads=3,
        resnet_pixels=96,
        resnet_token_pixels=128,
        resnet_layers=(1, 1, 1, 1),
        resnet_width=32,
        resnet_heads=16,
        text_layers=4,
        text_width=128,
        text_heads=4,
        context_length=32,
        vit_embedding=128,
        resnet_embedding=128,
        token_embedding=32,
        simclr_hidden=256,
        simclr_output=64,
        simsiam_hidden=128,
        simsiam_bottleneck=64,
        queue_size=2048,
        filip_topk=16,
        batch_size=64,
    ),
    "full": ModelSize(
        vit_pixels=224,
        patch_pixels=32,
        vit_layers=12,
        vit_width=768,
        vit_heads=12,
        resnet_pixels=224,
        resnet_token_pixels=224,
        resnet_layers=(3, 4, 6, 3),
        resnet_width=64,
        resnet_heads=32,
        text_layers=12,
        text_width=512,
        text_heads=8,
        context_length=77,
        vit_embedding=512,
        resnet_embedding=1024,
        token_embedding=256,
        simclr_hidden=4096,
        simclr_output=256,
        simsiam_hidden=1024,
        simsiam_bottleneck=512,
        queue_size=65536,
        filip_topk=16,
        batch_size=128,
    ),
}
"""`full` is the published model of arXiv 2203.05796; the others keep its proportions."""
