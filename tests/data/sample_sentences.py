"""Words and sentence grammars of the sample: invented captions in eight languages.

A word's place in its list is its rank: `Words.ranked` draws with a probability that falls as 1 / rank, so that a few
words are in very many captions and most in few, as on the web. All of it was written for this project.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

_NOUNS = """
photo image house dog view cat garden tree picture flower car church bridge mountain lake river beach street
town city table chair window door room kitchen castle tower boat ship train bird horse sheep cow map book cup
plate bread cake apple pear wine coffee tea bottle glass spoon knife bowl lamp bed sofa carpet curtain mirror
clock watch ring necklace hat coat dress shirt shoe boot glove scarf bag basket box wheel bicycle motorcycle
bus truck tractor airplane helicopter balloon rocket satellite telescope microscope camera computer keyboard
screen printer telephone radio television guitar piano violin drum trumpet flute harp accordion statue
painting drawing sculpture museum library school university hospital hotel restaurant bakery market shop
theater cinema stadium park playground fountain bench fence gate path road railway station harbor lighthouse
island cliff valley hill forest meadow desert waterfall glacier volcano cave canyon swamp pond stream spring
rain snow cloud rainbow lightning storm sunset sunrise moon star comet planet sky fog frost ice wave sand
shell crab lobster fish salmon trout shark whale dolphin seal penguin owl eagle falcon heron stork swan duck
goose chicken rooster turkey pigeon sparrow robin crow parrot kingfisher woodpecker bear wolf fox deer elk
moose squirrel rabbit hare hedgehog badger otter beaver mouse rat bat elephant lion tiger leopard giraffe
zebra camel monkey kangaroo koala panda snake lizard turtle frog toad newt butterfly bee wasp ant beetle
dragonfly spider snail worm oak beech birch pine spruce maple willow chestnut olive palm fern moss mushroom
rose tulip lily daisy sunflower orchid poppy violet lavender ivy cactus grass wheat barley corn rice potato
tomato carrot onion garlic cabbage lettuce spinach pumpkin cucumber pepper bean pea lemon orange banana grape
cherry plum peach apricot strawberry raspberry blueberry melon nut almond walnut honey butter cheese milk egg
soup salad sandwich pizza pasta pie biscuit chocolate sugar salt farmer teacher doctor nurse baker butcher
carpenter mason tailor sailor pilot soldier painter sculptor musician singer dancer actor writer poet student
child baby boy girl woman man family crowd team bride couple grandmother neighbor fisherman shepherd gardener
blacksmith potter weaver miner engineer scientist astronaut football tennis hockey chess kite swing ladder
hammer saw screwdriver drill wrench nail screw rope chain anchor sail oar paddle tent backpack compass lantern
candle fireplace chimney roof attic cellar staircase corridor balcony terrace courtyard barn stable windmill
watermill mill well granary silo quarry mine factory warehouse workshop laboratory observatory greenhouse
aquarium zoo circus carousel parade festival wedding funeral birthday concert exhibition ceremony harvest
voyage journey expedition marathon regatta tournament altar arch obelisk pyramid pagoda minaret dome steeple
monastery abbey chapel cathedral mosque synagogue temple cemetery tomb manuscript parchment inkwell quill
typewriter telegraph gramophone abacus astrolabe sundial hourglass thermometer barometer loom spindle anvil
bellows kiln crucible amphora chalice tapestry mosaic fresco etching woodcut lithograph
"""
NOUNS = _NOUNS.split()
_ADJECTIVES = """
old small white red large blue black green beautiful new wooden yellow brown bright dark quiet empty young
long high little colorful ancient modern round narrow wide deep wild tame frozen rusty golden silver striped
spotted broken fresh ripe sweet sour bitter wet dry cold warm hot steep flat hollow heavy light soft rough
smooth sharp blunt clean dirty busy lonely famous hidden abandoned medieval rural urban tropical arctic
coastal alpine foggy sunny rainy windy snowy misty muddy dusty sandy rocky grassy leafy thorny fragrant ornate
plain delicate sturdy slender plump hungry sleepy curious shy proud cheerful gloomy weary playful graceful
clumsy swift slow gigantic tiny miniature enormous transparent opaque crimson turquoise ivory scarlet emerald
amber violet indigo magenta beige
"""
ADJECTIVES = _ADJECTIVES.split()
_VERBS = """
standing sitting sleeping running waiting walking playing flying swimming eating drinking lying jumping
looking climbing singing dancing working reading drifting resting grazing hiding shining burning floating
rolling falling
"""
VERBS = _VERBS.split()
_PLACES = """
London,Paris,Berlin,New York,Rome,Vienna,Sofia,Madrid,Tokyo,Lisbon,Prague,Oslo,Dublin,Edinburgh,
Stockholm,Helsinki,Cairo,Nairobi,Sydney,Toronto,Chicago,Boston,San Francisco,Los Angeles,
Lake Geneva,Mont Blanc,Amsterdam,Brussels
"""
PLACES = _PLACES.replace("\n", "").split(",")
SITES = ("photo archive", "field guide", "travel notes", "kitchen garden", "town museum", "nature diary")

GERMAN = (
    "das Haus,der Hund,die Katze,der Garten,das Bild,die Kirche,die Brücke,der Fluss,die Straße,der Berg,das Mädchen,"
    "der Bäcker,das Schloss,der Käse,die Bücher,der Vogel,die Blume,der Bahnhof,der Schnee,das Frühstück",
    "alt,klein,schön,groß,grün,weiß,müde,hell,ruhig,fröhlich,süß,verlassen,berühmt",
)
FRENCH = (
    "la maison,le chien,le chat,le jardin,la photo,l’église,le pont,la rivière,la rue,la montagne,la forêt,le château,"
    "le gâteau,la fenêtre,l’oiseau,la fleur,la gare,la neige,le déjeuner,le musée",
    "ancien,petit,calme,grand,vert,célèbre,fatigué,désert,léger,étroit,coloré,brisé",
)
SPANISH = (
    "la casa,el perro,el gato,el jardín,la foto,la iglesia,el puente,el río,la calle,la montaña,el niño,el castillo,"
    "el pastel,la ventana,el pájaro,la flor,la estación,la nieve,el desayuno,el café",
    "antiguo,pequeño,tranquilo,grande,verde,famoso,cansado,vacío,rápido,dulce,rojo,español",
)
RUSSIAN = (
    "дом,собака,кошка,сад,фотография,церковь,мост,река,улица,гора,девочка,пекарь,замок,сыр,книга,птица,цветок,вокзал,"
    "снег,завтрак,озеро,лошадь,окно,дерево",
    "стоит у дороги,очень красивый вид,рядом с рекой,зимним утром,на фоне гор,в старом городе,летним вечером,"
    "крупным планом,под дождём,на рынке",
)
BULGARIAN = (
    "къщата,кучето,котката,градината,снимката,църквата,мостът,реката,улицата,планината,момичето,хлябът,крепостта,"
    "сиренето,книгата,птицата,цветето,гарата,снегът,закуската,езерото,конят",
    "стои до пътя,е много красива,край реката,през зимната утрин,на фона на планината,в стария град,през лятото,"
    "отблизо,под дъжда,на пазара",
)
CHINESE = (
    "房子,狗,猫,花园,照片,教堂,桥,河流,街道,山,女孩,面包,城堡,书,鸟,花,车站,雪,早餐,湖,马,窗户,树,博物馆",
    "古老的,小小的,美丽的,白色的,红色的,安静的,著名的,新的,绿色的,高大的,温暖的",
)
JAPANESE = (
    "家,犬,猫,庭,写真,教会,橋,川,通り,山,女の子,パン,お城,本,鳥,花,駅,雪,朝ごはん,湖,馬,窓,木,博物館,カメラ,コーヒー",
    "古い,小さな,美しい,白い,赤い,静かな,有名な,新しい,緑の,大きな,暖かい",
)


class Words:
    """Draws that stay the same in every Python release: only `random()` of the generator is used."""

    def __init__(self, seed: str) -> None:
        self._generator = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self._generator.random() < probability

    def number(self, low: int, high: int) -> int:
        """Returns a whole number from low to high, both included."""
        return low + int(self._generator.random() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._generator.random() * len(items))]

    def ranked(self, items: Sequence[Item]) -> Item:
        """Returns an item whose probability falls as 1 / rank."""
        return items[int((len(items) + 1) ** self._generator.random()) - 1]


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def english(words: Words) -> str:
    """Returns one English caption."""
    noun, other = words.ranked(NOUNS), words.ranked(NOUNS)
    adjective, verb, place = words.ranked(ADJECTIVES), words.ranked(VERBS), words.ranked(PLACES)
    year, number = words.number(1880, 2024), words.number(1, 40)
    return words.ranked(
        (
            f"{_article(adjective)} {noun} in the {other}",
            f"photo of {_article(noun)}",
            f"{adjective} {noun}",
            f"{_article(noun).capitalize()} {verb} near the {other}.",
            f"{adjective.capitalize()} {noun} with {_article(other)} in {place}",
            noun,
            f"image of {_article(adjective)} {noun} by the {other}, {place}",
            f"{place}: {noun} and {other}",
            f"The {noun} is {verb} on the {other}",
            f"View of {place} from the {noun}",
            f"{noun.capitalize()} ({year})",
            f"{noun}-{other} {number}",
            f"Is this {_article(noun)}? No: {_article(other)}!",
            f"{number} {adjective} {noun}s for the {other}",
            f"{noun}, {other}; {adjective} `{words.ranked(NOUNS)}`",
            f"Figure {number}.{words.number(1, 9)}: {adjective} {noun}",
            f"the {noun}'s {other}",
            f"{noun}  {other}",
            f"{noun}\u00a0{other}",
            f"IMG_{words.number(1, 9999):04d}.JPG",
            f"{adjective} {noun} – {place} “{other}”…",
        )
    )


def _with_article(nouns_and_adjectives: tuple[str, str], join: str, where: str, end: str) -> Callable[[Words], str]:
    nouns, adjectives = (text.split(",") for text in nouns_and_adjectives)

    def caption(words: Words) -> str:
        noun, other, adjective = words.ranked(nouns), words.pick(nouns), words.ranked(adjectives)
        forms = (
            f"{noun} {join} {adjective}",
            noun,
            f"{noun}, {other}",
            f"{noun} {where} {words.ranked(PLACES)}",
            f"{noun} {join} {adjective}{end} {other.capitalize()}, {words.number(1900, 2024)}.",
        )
        return words.ranked(forms)

    return caption


def _with_phrase(nouns_and_phrases: tuple[str, str]) -> Callable[[Words], str]:
    nouns, phrases = (text.split(",") for text in nouns_and_phrases)

    def caption(words: Words) -> str:
        noun, other, phrase = words.ranked(nouns), words.pick(nouns), words.ranked(phrases)
        forms = (f"{noun} {phrase}", noun, f"{noun.capitalize()}, {other}", f"{other.capitalize()} {phrase}!")
        return words.ranked(forms)

    return caption


def _without_spaces(nouns_and_adjectives: tuple[str, str], of: str, joined: str) -> Callable[[Words], str]:
    nouns, adjectives = (text.split(",") for text in nouns_and_adjectives)

    def caption(words: Words) -> str:
        noun, other, adjective = words.ranked(nouns), words.pick(nouns), words.ranked(adjectives)
        forms = (
            f"{adjective}{noun}",
            f"{noun}{of}{other}",
            f"{other}{joined}{adjective}{noun}。",
            f"{noun} {words.ranked(PLACES)}",
            f"{adjective}{noun}、{other}!",
        )
        return words.ranked(forms)

    return caption


CAPTIONS: dict[str, Callable[[Words], str]] = {
    "en": english,
    "de": _with_article(GERMAN, "ist", "in", "."),
    "fr": _with_article(FRENCH, "est très", "à", " !"),
    "es": _with_article(SPANISH, "es muy", "en", "."),
    "ru": _with_phrase(RUSSIAN),
    "bg": _with_phrase(BULGARIAN),
    "zh": _without_spaces(CHINESE, "的", "和"),
    "ja": _without_spaces(JAPANESE, "の", "と"),
}
"""Language code to the function that makes one caption."""


def paragraph(words: Words, language: str, sentences: int) -> str:
    """Returns some sentences: the running text from which a page's charset and language can be told."""
    caption = CAPTIONS[language]
    return " ".join(f"{caption(words).strip()}." for _ in range(sentences))
