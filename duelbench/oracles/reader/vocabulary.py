"""The word lists that the simulated reader knows, written for this project (Apache-2.0 like the rest).

Valences of words come from the VADER lexicon (C. J. Hutto, MIT licence), shipped by the dependency
`nltk-vader-sentiment` (Apache-2.0, imported as `vader`). VADER was made for social media: it knows no
atmosphere words such as "shadow" or "golden". `ATMOSPHERE` adds those, on VADER's scale of -4 to 4.
"""

from __future__ import annotations

from functools import cache

from vader import SentimentIntensityAnalyzer


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words that carry grammar rather than content; none of them has a valence for the reader.
FUNCTION_WORDS = _words(
    """a about above across after again against all along already also although always am amid among an and
    any anyone anything are around as at away back be became because become been before behind being
    below beneath beside between beyond both but by can cannot could did do does doing don't down
    during each else ever every everyone everything few for from had has have having he her here hers
    herself him himself his how i i'd i'll i'm i've if in inside into is isn't it it'll its itself
    just least less like made make many may me might mine more most much must my myself near never no
    nobody none nor not nothing now of off on once one only onto or other our ours out outside over
    own per rather shall she should since so some someone something still such than that the their
    theirs them themselves then there these they they're this those though through throughout till to
    together too toward towards under until up upon us very was wasn't we we're well were what when
    where whether which while who whom whose why will with within without won't would yet you you'll
    you're you've your yours yourself"""
)
#: Words by which a request names the task instead of its subject.
TASK_WORDS = _words(
    """ad advert advertisement answer compose craft create describe description draft generate give line
    paragraph passage phrase piece please poem prompt review say sentence short slogan story tell text
    two words write"""
)
#: Requests for these want an answer that speaks to its reader.
ADVERTS = _words("ad advert advertisement commercial invitation letter pitch slogan")
#: Words that speak to the reader, and words by which a narrator steps into the picture.
SECOND_PERSON = _words("you you'll you're you've you'd your yours yourself yourselves let's")
FIRST_PERSON = _words("i i'd i'll i'm i've me my mine myself")
#: What a mood asks for where VADER's valence of the word says something else: 0 asks for an even tone.
MOODS: dict[str, float] = {
    "calm": 0.0,
    "factual": 0.0,
    "honest": 0.0,
    "neutral": 0.0,
    "ordinary": 0.0,
    "plain": 0.0,
    "quiet": 0.0,
    "serious": 0.0,
    "silent": 0.0,
    "simple": 0.0,
    "creepy": -2.0,
    "dark": -1.5,
    "dull": -1.0,
    "eerie": -1.5,
    "spooky": -1.5,
}
#: Valence of words that set an atmosphere and are missing from VADER.
ATMOSPHERE: dict[str, float] = {
    "aching": -1.5,
    "afraid": -2.0,
    "ashes": -0.8,
    "bleak": -1.8,
    "blood": -1.2,
    "bones": -1.0,
    "chill": -0.8,
    "chilling": -1.5,
    "cobwebs": -1.0,
    "cold": -0.8,
    "creaking": -0.8,
    "creepy": -1.8,
    "crumbling": -1.2,
    "dark": -1.0,
    "darkness": -1.4,
    "decay": -1.6,
    "decaying": -1.6,
    "deserted": -1.2,
    "desolate": -1.8,
    "dim": -0.6,
    "distant": -0.4,
    "faded": -0.8,
    "forlorn": -1.8,
    "ghostly": -1.3,
    "gray": -0.5,
    "grey": -0.5,
    "haunting": -1.6,
    "howl": -0.9,
    "howled": -0.9,
    "howling": -0.9,
    "lurking": -1.3,
    "lurks": -1.3,
    "menacing": -2.0,
    "monster": -1.6,
    "ominous": -1.8,
    "rotting": -1.8,
    "rusted": -0.7,
    "shadow": -0.8,
    "shadows": -0.9,
    "shadowy": -1.2,
    "sinister": -2.2,
    "skeletal": -1.2,
    "skulls": -1.2,
    "solitary": -0.7,
    "sorrow": -2.2,
    "spooky": -1.4,
    "trembled": -1.1,
    "trembling": -1.1,
    "unsettling": -1.6,
    "wail": -1.6,
    "wailing": -1.6,
    "withered": -1.2,
    "bask": 1.2,
    "basking": 1.2,
    "blossom": 1.0,
    "blossoms": 1.0,
    "breathtaking": 2.2,
    "cozy": 1.6,
    "dazzling": 1.9,
    "delicious": 2.2,
    "enchanting": 2.2,
    "fresh": 1.1,
    "giggle": 1.6,
    "giggled": 1.7,
    "giggling": 1.7,
    "gleaming": 1.1,
    "glow": 0.8,
    "glowing": 1.1,
    "golden": 0.9,
    "harmony": 1.6,
    "lively": 1.5,
    "lush": 1.2,
    "magical": 1.9,
    "majestic": 1.7,
    "radiant": 2.0,
    "shimmering": 1.0,
    "shone": 0.9,
    "stunning": 2.2,
    "sunlight": 0.9,
    "sunshine": 1.6,
    "twinkling": 1.2,
    "vibrant": 1.6,
}
#: Words for what is seen, heard, felt, smelt or tasted: a text is vivid by naming such things.
SENSES = _words(
    """amber ancient aroma azure bark barked bitter black blazing blinked blossoms blue blush breath breathed
    breeze bronze brown bubbling burst buzzed buzzing candlelight carved chattered chill chilly chimed
    clanged clattered clicked clouds cobbled cobwebs cold cool copper cracked crackled crackling
    cradled crashed crashing crawled creaked creaking creaks crept crimson crisp crooked crumbling
    crunch crunched crystal curled damp danced dancing dappled darted dew dewy dim dripped dripping
    drizzle dry dust dusty echo echoed echoes echoing ember embers emerald fading feathers flames
    flapped flapping flicker flickered flickering floated foggy fragrance fragrant frost frosty frozen
    fur gleam gleamed gleaming glided glimmer glint glinting glistened glistening glittering glow
    glowed glowing glows gold golden grass gray green grey growl growled gust hazy hiss hissed hollow
    honey hot howl howled howling hum hummed humming hums ice icy ink iron ivory jagged lapping
    laughter lavender leaping leaves lemon light lilac lit mahogany marble melodies melody melted mist
    misty moonlight moss mossy mud muddy murmur murmured orange pale paws pebbles peeling perfume
    petals pine pink puddle puddles purple purred purring rattled raw red ripples roar roared roaring
    roots rough rumbled rusted rustle rustled rustling rusty salt salty sandy scarlet scent scented
    shadow shadows shadowy sharp shimmer shimmered shimmering shimmers shivered shivering shone silk
    silky silver silvery sizzled sizzling sky sleek slick slippery smell smelled smells smoke smoky
    smooth snap soaked soft softly song sour sparkled sparkling sparks spicy splash splashed splashing
    squeaked squeaky stale starlight stars steam steaming sticky stone stormy stretched sunlight
    sunlit sunset swayed swaying sweet swirled swirling tall tangled taste tasted teal thick thud
    thunder tiny towering trembled trembling trickle twinkled twinkling twisted velvet vines violet
    wagged warm warmth wet whirled whisper whispered whispering whispers whistled white wind winding
    windswept wings wispy wooden yellow"""
)


@cache
def valences() -> dict[str, float]:
    """Valence of every word the reader has feelings about, -4 to 4: VADER's lexicon plus `ATMOSPHERE`."""
    lexicon = {word: value for word, value in SentimentIntensityAnalyzer().lexicon.items() if word.isascii()}
    return {word: v for word, v in (lexicon | ATMOSPHERE).items() if v and word not in FUNCTION_WORDS}


@cache
def negations() -> frozenset[str]:
    """Words that turn the valence of what follows, from VADER."""
    return SentimentIntensityAnalyzer().negations | {"no"}
