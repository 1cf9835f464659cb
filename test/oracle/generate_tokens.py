"""Writes fixtures/tokens.json: what Hugging Face's tokenizers make of hard texts, and the vocabularies they train.

The reference is the Rust library `tokenizers`, which is what `transformers.BertTokenizerFast` runs. All text is ASCII-escaped in
the file. Needs `tokenizers` and `transformers<5`, no network; see README.md.
"""

import hashlib
import json
import pathlib
import unicodedata
from collections import Counter

import tokenizers
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer
from transformers import BertTokenizerFast

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "tokens.json"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
STRUCTURAL = ["[PAD]", "[CLS]", "[SEP]"]

# name: settings as BertNormalizer has them
MODES = {
    "uncased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
    "cased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=False),
    "accents": dict(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True),
    "plain": dict(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
}

STRINGS = [
    "",
    " ",
    "\t\n\r ",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "unaffable unbelievably undoing",
    "don't can't it's O'Neill ’tis",
    "state-of-the-art, e.g. 3.14159 and 1,000,000",
    "e-mail: a.b+c@example.org; http://example.org/a_b?c=d&e=f#g",
    "$5 ^ 2 ` x ~ y | z = w < v > u + t",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "a$b^c`d~e",
    # accents, composed and decomposed
    "café naïve résumé Ünïcödé",
    "cafe\u0301 nai\u0308ve re\u0301sume\u0301",
    "Ångström A\u030angstro\u0308m \u212b",
    "Crème brûlée À la carte ÀÉÎÕÜ",
    "Việt Nam Tiếng Việt đường",
    "\u1e9b\u0323 \u1e69 s\u0323\u0307 s\u0307\u0323",
    "łódź Øre æther œuvre þorn ðe",
    # marks alone and in piles
    "\u0301",
    "\u0301\u0302 \u0303a",
    "a\u0300\u0301\u0302\u0303\u0304\u0305b Z\u0351\u036b\u0343a\u0321lgo",
    # case
    "İstanbul ıSPARTA Iğdır",
    "STRASSE straße STRAẞE ﬀ ﬃ ﬅ ĳ ǆ ǅ",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ σας ΆΈΉ ἀρχή",
    "Москва йод ЙОД ёж Ґанок",
    "ᎣᏏᏲ ꭰꭱ Აა 𐐀𐐨",
    # ideographs and what is like them
    "東京は日本の首都です。",
    "中国 a中b国c 中,国",
    "戦場のヴァルキュリア3",
    "ｶﾞｷﾞｸﾞ ＡＢＣ１２３ ｡",
    "パピプペポ ハ\u309aヒ\u309a が か\u3099",
    "𠀀𠀁 a𪜀b \u2b81f 𫠝 𫤠 \U0002f800\U0002fa1d",
    "\uf900\ufa0e \u3400\u4dbf \u9fff\ua000",
    "한국어 각 \u1100\u1161\u11a8 ㄱㄴ",
    "\u3005\u3006\u3007\u3021 ㊀㍻ ⺀⼀",
    # other scripts
    "السلام عليكم مَرْحَبًا ١٢٣ ؟،؛",
    "שָׁלוֹם עולם״׳",
    "สวัสดีครับ ภาษาไทย ๑๒๓",
    "नमस्ते हिन्दी क्षि। १२३",
    "தமிழ் മലയാളം ಕನ್ನಡ తెలుగు",
    "བོད་སྐད། မြန်မာ ភាសាខ្មែរ",
    "ქართული հայերեն አማርኛ። ᠮᠣᠩᠭᠣᠯ",
    "𝕳𝖊𝖑𝖑𝖔 𝟏𝟐𝟑 ℌℍ № ℡ ½ ² ①",
    # emoji
    "😀 a😀b 😀😀",
    "👩\u200d👩\u200d👧\u200d👦 👍🏽 👍🏿 ❤️ ☺︎",
    "🇩🇪🇫🇷 #️⃣ 1️⃣ 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    # controls, spaces, what is not there
    "a\x00b \x00",
    "a\x01b\x07c\x1bd\x7fe\x80f\x85g\x9fh",
    "a\x0bb\x0cc\x1cd\x1de\x1ef\x1fg",
    "\ufeffstart mid\ufeffdle end\ufeff",
    "a\ufffdb \ufffd",
    "soft\u00adhyphen zero\u200bwidth non\u200cjoiner join\u200der word\u2060joiner",
    "left\u200eright\u200f \u202aembed\u202c \u2066isolate\u2069",
    "no\u00a0break en\u2002space em\u2003 thin\u2009 ideographic\u3000 ogham\u1680 narrow\u202f math\u205f",
    "line\u2028separator paragraph\u2029separator mongolian\u180evowel",
    "private \ue000\uf8ff \U000f0000 unassigned \u0378\U000e0fff noncharacter \ufffe\uffff",
    "tabs\tand\nline\r\nbreaks\r",
    "  many   spaces  ",
    # punctuation of Unicode, and what is newer than the reference
    "«quotes» “curly” ‘single’ „low‟ ‹angle›",
    "dash–dash—dash―dash‐dash‑dash−minus",
    "¡Hola! ¿Qué? §1 ¶2 ·3 ©4 ®5 °6 ±7 ×8 ÷9 €10 £11 ¥12 ¢13",
    "…‥․ ‰‱ ′″‴ †‡• ‽⁇⁈ ⸘⸮ ⹃⹊⹒",
    "、。〈〉《》「」『』【】〔〕〖〗〜・！？：；（）",
    "᙭ 𑇉 a᙭b \u1734 a\u1734b \U0001171e",
    "a\u1abfb a\u08cab 𞤀𞤢\U0001e944 a\u061db a\u0890b a\u09feb",
    # long words
    "a" * 99 + " " + "a" * 100 + " " + "a" * 101,
    "b" * 250,
    "é" * 100 + " " + "e\u0301" * 100 + " " + "é" * 101,
    "😀" * 100 + " x " + "😀" * 101,
    "pneumonoultramicroscopicsilicovolcanoconiosis Donaudampfschifffahrtsgesellschaftskapitän",
    # tokens written in a text
    "[MASK] a [MASK]b[MASK] [UNK] [mask] [ MASK ] [MA\u00adSK]",
    "[CLS] a [SEP] b [PAD] x[SEP]y [cls]",
    "##ing ## # #a a##b [unused0] <mask> <unk>",
]

CORPUS = """
The low light of the lowest lamp lit the lower landing, and the lamplighter lingered there, lighting lamp after lamp.
A newer, wider window was wanted; the new widow widened the narrowest window of the newest wing.
Slowly the slower sailors sailed the slowest sailing ship, unsure, unsaid, unseen, undone and undoing all that was done.
Play, played, player, playing: replay the plays that players played, and display what was displayed and replayed.
In 1999, 2001 and 2010 the runners ran; running, rerunning and outrunning 100 others, they outran and overran the runway.
Naïve cafés serve crème brûlée à la carte; a façade of clichés. Straße, straßen, größer. 東京 東 京都 日本 日.
Nation, national, nationality, international, nationalised, rationalised, rational, ration, rations, relation, relational.
"""


def tokenizer_of(vocabulary: list[str], mode: str) -> Tokenizer:
    """BERT's tokenizer, but that a text cannot write [CLS], [SEP] and [PAD]."""
    made = Tokenizer(
        WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    made.add_special_tokens(["[UNK]", "[MASK]"])
    made.normalizer = BertNormalizer(**MODES[mode])
    made.pre_tokenizer = BertPreTokenizer()
    return made


def words_of(text: str, mode: str) -> list[str]:
    normalized = BertNormalizer(**MODES[mode]).normalize_str(text)
    return [word for word, _ in BertPreTokenizer().pre_tokenize_str(normalized)]


def make_vocabulary() -> list[str]:
    """Characters of the strings, without those of Thai, Lao and Tibetan, which stay unknown, and pieces that occur often."""
    counts = Counter(
        word
        for text in STRINGS
        for mode in MODES
        for word in words_of(text, mode)
        if len(word) <= 100 and not any(0xE00 <= ord(character) < 0x1000 for character in word)
    )
    return train(counts, 1200, 6, 1000)


def train(counts: Counter, size: int, min_frequency: int, limit: int) -> list[str]:
    """WordPieceTrainer, its chance taken out: the ids of characters, which decide between equal counts, depend on the order of
    a hash map; given as special tokens, they are fixed."""
    characters = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    by_count = sorted(characters, key=lambda c: (-characters[c], ord(c)))
    kept = sorted(by_count[:limit])
    if len(by_count) > limit:
        assert characters[by_count[limit - 1]] > characters[by_count[limit]], "a tie at the limit of the alphabet"
    inside = {character for word in counts for character in word[1:]}
    fixed = SPECIALS + kept + ["##" + character for character in kept if character in inside]
    model = Tokenizer(WordPiece(unk_token="[UNK]"))
    trainer = WordPieceTrainer(
        vocab_size=size, min_frequency=min_frequency, limit_alphabet=limit, special_tokens=fixed, show_progress=False
    )
    # Words between spaces: the trainer splits at nothing else.
    model.pre_tokenizer = tokenizers.pre_tokenizers.CharDelimiterSplit(" ")
    model.train_from_iterator((" ".join([word] * count) for word, count in counts.items()), trainer)
    by_id = sorted(model.get_vocab().items(), key=lambda entry: entry[1])
    return [token for token, _ in by_id]


def ids_of(vocabulary: list[str]) -> list[dict]:
    ours = {mode: tokenizer_of(vocabulary, mode) for mode in MODES}
    path = FIXTURE.with_suffix(".vocab.txt")
    path.write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf8", newline="")
    whole = {mode: BertTokenizerFast(vocab_file=str(path), do_lower_case=mode == "uncased") for mode in ("uncased", "cased")}
    path.unlink()
    rows = []
    for text in STRINGS:
        row = {mode: made.encode(text, add_special_tokens=False).ids for mode, made in ours.items()}
        if not any(token in text for token in STRUCTURAL):
            for mode, made in whole.items():
                assert made(text, add_special_tokens=False).input_ids == row[mode], (text, mode)
        rows.append({"text": text, **row})
    return rows


def characters() -> dict:
    """What becomes of every character between two letters: a hash for each 4,096 code points."""
    assigned = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    ranges = []
    for c in assigned:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    blocks = {}
    for mode in MODES:
        normalizer, pre_tokenizer = BertNormalizer(**MODES[mode]), BertPreTokenizer()
        hashes = {}
        for c in assigned:
            words = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(f"a{chr(c)}b"))
            block = hashes.setdefault(f"{c >> 12:x}", hashlib.sha256())
            block.update(("\t".join(word for word, _ in words) + "\n").encode("utf8"))
        blocks[mode] = {block: value.hexdigest()[:12] for block, value in hashes.items()}
    return {
        "unicode": unicodedata.unidata_version,
        "assigned": " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges),
        "blocks": blocks,
    }


def main() -> None:
    vocabulary = make_vocabulary()
    counts = Counter(word for line in CORPUS.split("\n") for word in words_of(line, "uncased"))
    trainings = [
        {"size": size, "min_frequency": frequency, "limit": limit, "vocabulary": train(counts, size, frequency, limit)}
        for size, frequency, limit in [(180, 1, 43), (300, 2, 73), (1000, 1, 248), (5000, 3, 1000)]
    ]
    fixture = {
        "versions": {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__},
        "vocabulary": vocabulary,
        "strings": ids_of(vocabulary),
        "characters": characters(),
        "counts": sorted(counts.items()),
        "trainings": trainings,
    }
    FIXTURE.write_text(json.dumps(fixture, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")
    print(len(vocabulary), len(STRINGS), [len(t["vocabulary"]) for t in trainings], FIXTURE.stat().st_size)


if __name__ == "__main__":
    main()
