"""Text as people read it."""

from __future__ import annotations

import pytest

from recs_assets.plain_text import plain_text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Blue mug", "Blue mug"),
        ("  Blue \t\r\n mug\xa0 ", "Blue mug"),
        # Entities: named, by number, without their semicolon, in layers, of old Windows, of HTML 5, unknown.
        ("Tom &amp; Jerry&#39;s caf&eacute; &#x2013; 5&nbsp;l", "Tom & Jerry's café – 5 l"),
        ("Tom &amp;amp;amp; Jerry", "Tom & Jerry"),
        ("Ben &#38 Jerry", "Ben & Jerry"),
        ("caf&#233 au lait", "café au lait"),
        ("Brand&#153; &check; &lpar;new&rpar;", "Brand™ ✓ (new)"),
        ("R&D; &unheard; AT&T salt&notes &copy now", "R&D; &unheard; AT&T salt&notes &copy now"),
        ("a&#0;b&#xD800;c&#9999999;d", "a\ufffdb\ufffdc\ufffdd"),
        # Tags: known ones go, those between lines leave a blank, what is no tag stays.
        ("<p>Blue <b>mug</b></p><br/>with<BR>lid", "Blue mug with lid"),
        ("H<sub>2</sub>O", "H2O"),
        ('<span style="color:red" data-x=1>Blue</span> mug', "Blue mug"),
        ("&lt;strong&gt;Mug&lt;/strong&gt; &amp;lt;i&amp;gt;x&amp;lt;/i&amp;gt;", "Mug x"),
        (
            "I <3 tea, 5 < 6 > 4, a<b, Cable <USB-C> to <Lightning>",
            "I <3 tea, 5 < 6 > 4, a<b, Cable <USB-C> to <Lightning>",
        ),
        ("Mug<script>alert('x')</script><style>b{}</style><!-- old <b> --> blue", "Mug blue"),
        ("Mug <svg/onload=alert(1)><a/href=x>lid</a> and/or cup", "Mug lid and/or cup"),
        ("<![CDATA[Mug & cup]]>", "Mug & cup"),
        ('A long text <a href="https://exam', "A long text"),
        ("A long text <br", "A long text <br"),
        # Characters that show nothing.
        ("Bl\u00adue\u200b m\u200cu\u200dg\ufeff \u202aLTR\u202c\x07", "Blue mug LTR"),
        ("می\u200cخواهم 👩\u200d🍳", "می\u200cخواهم 👩\u200d🍳"),
        ("<br>&nbsp;\u200b", ""),
    ],
)
def test_text_as_people_read_it(raw: str, text: str) -> None:
    assert plain_text(raw) == text
