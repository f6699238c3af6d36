"""The sample's pages: HTML of many habits, together with the images that a browser finds in it.

Every piece of markup is written side by side with the attribute values that HTML5 parsing must give back, so that the
sample carries its own truth: the WATs are made from `Image` values, not by parsing the HTML.
"""

from dataclasses import dataclass, field
from html import escape

from sample_sentences import CAPTIONS, SITES, Words, paragraph


@dataclass(frozen=True)
class Image:
    """One `<img>`: its attributes' values as a parser gives them, None where the attribute is missing."""

    src: str | None
    alt: str | None = None
    title: str | None = None
    data_image_title: str | None = None
    long_description: str | None = None


@dataclass
class Page:
    """One page before it is encoded.

    Attributes:
        url: Its address.
        language: A key of `CAPTIONS`.
        html: The document, without a charset declaration of its own unless `declaration` asked for one.
        images: Its images in the order of the source.
        anchors: (href, text) of its links.
        base: The `href` of its first `<base>` with one, or None.
        title: The text of `<title>`.
    """

    url: str
    language: str
    html: str = ""
    images: list[Image] = field(default_factory=list)
    anchors: list[tuple[str, str]] = field(default_factory=list)
    base: str | None = None
    title: str = ""


Piece = tuple[str, list[Image]]
"""Markup and the images in it, in the order of the source."""

_EXTENSIONS = ("jpg", "jpg", "png", "gif", "webp", "jpeg?w=640&h=480")
_HOSTS = ("cdn.example.net", "images.example.org", "static.example.com", "media.example.net:8080")


def _attribute(words: Words, name: str, value: str) -> str:
    """Writes one attribute in one of HTML's spellings, all of which parse to `value`."""
    style = words.number(0, 9)
    if style == 0:
        name = name.upper()
    if style == 1 and value and not any(mark in value for mark in " \t\n\r\u00a0\"'`=<>&"):
        return f"{name}={value}"
    if style == 2 and "'" not in value:
        return f"{name} = '{value.replace('&', '&amp;')}'"
    if style == 3 and value.isascii():
        references = "".join(f"&#{ord(mark)};" if mark in 'aou&"' else mark for mark in value)
        return f'{name}="{references}"'
    return f'{name}="{escape(value)}"'


def image_tag(words: Words, image: Image) -> str:
    """Writes an `<img>` whose attributes stand in any order and spelling."""
    pairs = [
        ("src", image.src),
        ("alt", image.alt),
        ("title", image.title),
        ("data-image-title", image.data_image_title),
        ("longdesc", image.long_description),
    ]
    attributes = [_attribute(words, name, value) for name, value in pairs if value is not None]
    if words.chance(0.3):
        attributes.reverse()
    if words.chance(0.4):
        attributes.insert(words.number(0, len(attributes)), f'width="{words.number(1, 12) * 80}"')
    if words.chance(0.1):
        attributes.append('class="lazy" data-src="/lazy/real.jpg" loading=lazy')
    if words.chance(0.05):
        attributes.extend(("srcset='/small.jpg 480w, /large.jpg 1080w'", "sizes=100vw"))
    first_wins = image.alt is not None and words.chance(0.04)
    if first_wins:
        attributes.append('alt="the second of two alt attributes"')
    return f"<{words.pick(('img', 'img', 'img', 'IMG'))} {' '.join(attributes)}{words.pick(('>', ' />', '>'))}"


def image_source(words: Words) -> str:
    """Returns a relative, absolute or protocol-relative address of an image."""
    name = f"{words.pick('abcdefgh')}{words.number(1, 900)}.{words.pick(_EXTENSIONS)}"
    return words.pick(
        (
            name,
            name,
            f"images/{name}",
            f"/media/{name}",
            f"../pictures/{name}",
            f"./{name}",
            f"//{words.pick(_HOSTS)}/{name}",
            f"https://{words.pick(_HOSTS)}/{name}",
            f"http://{words.pick(_HOSTS)}/{words.number(2015, 2024)}/{name}",
        )
    )


def random_image(words: Words, language: str) -> Image:
    """Returns an image of a kind that is usual: most have an alt, some a title, a few none or an empty alt."""
    source, kind = image_source(words), words.number(0, 19)
    first, second = (CAPTIONS[language](words) for _ in range(2))
    usual = Image(source, alt=first, title=second) if kind < 10 else Image(source, alt=first)
    unusual = {
        0: Image(source),
        1: Image(source, alt="", title=first),
        2: Image(source, alt=first, title=first),
        3: Image(source, alt=f"  {first}\n   {second} "),
        4: Image(source, alt=first, data_image_title=second),
        5: Image(source, alt=first, long_description="/descriptions/long.html"),
    }
    return unusual.get(kind, usual)


def odd_pieces() -> list[Piece]:
    """Returns markup that a careless extraction gets wrong, in ASCII, so that every charset can hold it."""
    return [
        ("<!-- <img src=/comment.jpg alt='in a comment'> -->", []),
        ("<script>var a = '<img src=/script.jpg alt=\"in a script\">';</script>", []),
        ("<textarea><img src=/textarea.jpg alt='in a textarea'></textarea>", []),
        ("<template><img src=/template.jpg alt='in a template'></template>", []),
        ("<style>/* <img src=/style.jpg alt='in a style'> */</style>", []),
        (
            "<noscript><img src=/noscript.jpg alt='inside noscript'></noscript>",
            [Image("/noscript.jpg", alt="inside noscript")],
        ),
        (
            '<picture><source srcset="/wide.webp 2x"><img src="/wide.jpg" alt="a wide valley"></picture>',
            [Image("/wide.jpg", alt="a wide valley")],
        ),
        (
            '<svg width="9" height="9"><title>a small drawing</title><image href="/vector.png" /><circle r="4"/></svg>',
            [],
        ),
        (
            "<svg><foreignObject><img src=/inside-svg.png alt='an image inside a drawing'></foreignObject></svg>",
            [Image("/inside-svg.png", alt="an image inside a drawing")],
        ),
        (
            "<table><tr><td><img src=/cell.png alt='in a cell'></td></tr>"
            "<img src=/foster.png alt='before its table'></table>",
            [Image("/cell.png", alt="in a cell"), Image("/foster.png", alt="before its table")],
        ),
        ("<img src=/unquoted.jpg alt=bird/>", [Image("/unquoted.jpg", alt="bird/")]),
        (
            "<img src='/apostrophe.jpg' alt='5\" disk' title=\"it's a disk\">",
            [Image("/apostrophe.jpg", alt='5" disk', title="it's a disk")],
        ),
        (
            '<img src="/query?a=1&copy=2" '
            'alt="fish &amp chips &copy 2020, a&copy=b, caf&eacute; &#150; &#x2019; &notit;">',
            [Image("/query?a=1&copy=2", alt="fish & chips © 2020, a&copy=b, café – ’ &notit;")],
        ),
        ("<img src=/surrogate.jpg alt='half &#xD83D; pair'>", [Image("/surrogate.jpg", alt="half \ud83d pair")]),
        (
            '<img src="/breaks.jpg" alt="one\r\ntwo\tthree&#13;&#10;four">',
            [Image("/breaks.jpg", alt="one\ntwo\tthree\r\nfour")],
        ),
        (
            "<img src='/spaces.jpg' alt='&nbsp; a cat &#8195;&#x3000;' title='&nbsp; '>",
            [Image("/spaces.jpg", alt="\u00a0 a cat \u2003\u3000", title="\u00a0 ")],
        ),
        (
            "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' alt='a tiny dot'>",
            [Image("data:image/gif;base64,R0lGODlhAQABAAAAACw=", alt="a tiny dot")],
        ),
        ("<img src='javascript:void(0)' alt='a script'>", [Image("javascript:void(0)", alt="a script")]),
        ("<img src='#' alt='nothing but a mark'>", [Image("#", alt="nothing but a mark")]),
        ("<img src='' alt='an empty source'>", [Image("", alt="an empty source")]),
        ("<img alt='no source at all'>", [Image(None, alt="no source at all")]),
        ("<img src='http://[bad/a.jpg' alt='a broken address'>", [Image("http://[bad/a.jpg", alt="a broken address")]),
        ("<img src='http:///no-host.jpg' alt='no host'>", [Image("http:///no-host.jpg", alt="no host")]),
        ("<img src='file:///C:/a.jpg' alt='a local file'>", [Image("file:///C:/a.jpg", alt="a local file")]),
        (
            "<img src='HTTPS://Images.Example.ORG/Upper.JPG' alt='upper case'>",
            [Image("HTTPS://Images.Example.ORG/Upper.JPG", alt="upper case")],
        ),
        ("<img src='/my photo.jpg' alt='a space inside'>", [Image("/my photo.jpg", alt="a space inside")]),
        ("<img src='/bilder/stra&szlig;e.jpg' alt='Stra&szlig;e'>", [Image("/bilder/straße.jpg", alt="Straße")]),
        ("<img src=/first.jpg src=/second.jpg alt=first alt=second>", [Image("/first.jpg", alt="first")]),
        (
            "<ul><li><ul><li><a href='/deep'><img src=/deep.gif alt='nested deep'></a></ul></ul>",
            [Image("/deep.gif", alt="nested deep")],
        ),
        (
            '<img src="/logo.png" alt="site logo"><img src="/logo.png" alt="site logo">',
            [Image("/logo.png", alt="site logo"), Image("/logo.png", alt="site logo")],
        ),
        (
            "<img src=placeholder.gif data-src=/real.jpg alt='waiting for a script'>",
            [Image("placeholder.gif", alt="waiting for a script")],
        ),
        ("<img src=/markup.jpg alt='<b>bold</b> text &lt;i&gt;'>", [Image("/markup.jpg", alt="<b>bold</b> text <i>")]),
        ("<map name=m><area href=/area alt='an area'></map><input type=image src=/button.png alt='a button'>", []),
    ]


def _section(words: Words, page: Page, sections: list[str]) -> None:
    """Adds a paragraph with one to seven images in the layout of a gallery, a list, a table or running text."""
    images = [random_image(words, page.language) for _ in range(words.number(1, 7))]
    page.images.extend(images)
    tags = [image_tag(words, image) for image in images]
    text = paragraph(words, page.language, words.number(1, 3))
    layout = words.number(0, 3)
    if layout == 0:
        sections.append(f"<p>{escape(text)} {' '.join(tags)}</p>")
    elif layout == 1:
        items = "\n".join(f"  <li><figure>{tag}<figcaption>{escape(text[:30])}</figcaption></figure>" for tag in tags)
        sections.append(f"<ul class=gallery>\n{items}\n</ul>")
    elif layout == 2:
        cells = "".join(f"<td>{tag}</td>" for tag in tags)
        sections.append(f"<table><tr><th>{escape(text[:20])}</th></tr><tr>{cells}</tr></table>")
    else:
        links = "".join(f'<a href="/page/{number}">{tag}</a>' for number, tag in enumerate(tags))
        sections.append(f"<div><div>{links}</div>\n<blockquote>{escape(text)}</blockquote></div>")


def build_page(words: Words, url: str, language: str, *, shared: list[Image]) -> Page:
    """Makes one page.

    Args:
        words: Where every choice comes from.
        url: The page's address.
        language: A key of `CAPTIONS`.
        shared: Images that every page of the site shows: the source of duplicate pairs.

    Returns:
        The page without charset declarations: `with_declaration` adds one.
    """
    page = Page(url, language, title=f"{CAPTIONS[language](words).strip()} - {words.pick(SITES)}")
    page.base = words.pick((None,) * 8 + ("https://base.example.org/folder/", "../up/"))
    head = [f"<title>{escape(page.title)}</title>", '<meta name="generator" content="made by hand">']
    if words.chance(0.1):
        head.append('<base target="_blank">')
    if page.base is not None:
        head.append(f'<base href="{page.base}">')
    sections = [f"<h1>{escape(page.title)}</h1>"]
    for image in shared:
        page.images.append(image)
        sections.append(image_tag(words, image))
    for _ in range(words.number(2, 7)):
        _section(words, page, sections)
    odd = odd_pieces()
    for _ in range(words.number(0, 4)):
        markup, images = words.pick(odd)
        page.images.extend(images)
        sections.append(markup)
    for number in range(words.number(1, 5)):
        text = CAPTIONS[language](words).strip()
        page.anchors.append((f"/page/{number}.html", text))
        sections.append(f'<a href="/page/{number}.html">{escape(text)}</a>')
    end = words.pick(("</body></html>\n", "", "</body>", '<img src="/cut.jpg" alt="never closed'))
    doctype = words.pick(("<!DOCTYPE html>\n", "<!doctype html>\n", "<html>"))
    lines = "\n".join(head), "\n".join(sections)
    page.html = f"{doctype}<html lang={language}><head><!--declaration-->{lines[0]}</head>\n<body>{lines[1]}\n{end}"
    return page


def with_declaration(html: str, label: str | None, style: int) -> str:
    """Puts a `<meta>` that names a charset where the page was built to take one, or nothing for None."""
    if label is None:
        meta = ""
    elif style == 0:
        meta = f'<meta charset="{label}">'
    elif style == 1:
        meta = f'<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset={label}">'
    else:
        meta = f"<meta content='text/html;charset={label}' http-equiv=content-type />"
    return html.replace("<!--declaration-->", meta, 1)
