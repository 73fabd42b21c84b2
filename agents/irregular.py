"""Forms of English verbs that no stemmer brings together: "did lead" and "led", "did win" and "won"."""

from __future__ import annotations

from agents.lexical import stem

_VERBS = """arise arose arisen|bear bore born borne|beat beaten|become became|begin began begun|bind bound|blow blew blown|
break broke broken|bring brought|build built|buy bought|catch caught|choose chose chosen|come came|deal dealt|draw drew drawn|
drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|find found|flee fled|fly flew flown|
forbid forbade forbidden|forget forgot forgotten|freeze froze frozen|get got gotten|give gave given|go went gone|
grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept|know knew known|lay laid|lead led|leave left|lend lent|
light lit|lose lost|make made|mean meant|meet met|pay paid|ride rode ridden|ring rang rung|rise rose risen|run ran|say said|
see saw seen|seek sought|sell sold|send sent|shoot shot|show shown|sing sang sung|sink sank sunk|sit sat|sleep slept|
speak spoke spoken|spend spent|stand stood|steal stole stolen|strike struck|swear swore sworn|swim swam swum|take took taken|
teach taught|tell told|think thought|throw threw thrown|understand understood|wear wore worn|win won|withdraw withdrew withdrawn|
write wrote written"""
_BASE = {stem(form): stem(verb.split()[0]) for verb in _VERBS.split("|") for form in verb.split()}


def base(word: str) -> str:
    """The stem of a folded word; of an irregular form of a verb, that of its first."""
    return _BASE.get(stem(word), stem(word))
