"""Completion for bash, zsh and fish.

Each shell gets one file that needs neither lbsync nor another package to run, because pressing TAB must not
wait for Python to start. All three process the words before the cursor in the same way: a word that names a
subcommand of the current command selects it, and the word after an option with a value is skipped.
"""

import re
from collections.abc import Iterable

from lbsync.cli.reference.tree import Argument, Command, command_line, setting_names

_BASH = """\
# bash completion for lbsync; made of its parser by python -m lbsync.cli.reference
_lbsync() {
    local at=lbsync option= word last values=
    local -a words
    # By itself, because bash takes --output=json and file:PATH apart.
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
    last=${words[-1]}
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $option ]]; then option=; continue; fi
        case "$at $word" in
@WORDS@) at="$at $word" ;;
@TAKING@) option=$word ;;
        esac
    done
    if [[ -z $option && $last == --*=* ]]; then
        option=${last%%=*}
        last=${last#*=}
    fi
    COMPREPLY=()
    if [[ -n $option ]]; then
        case "$at $option" in
@VALUES@
        esac
    elif [[ $last == -* ]]; then
        case "$at" in
@OPTIONS@
        esac
    else
        case "$at" in
@COMMANDS@
        esac
    fi
    case $values in
        '') ;;
        @file)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$last") ;;
        *)
            [[ $values == *= ]] && compopt -o nospace 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -W "$values" -- "$last") ;;
    esac
}
complete -F _lbsync lbsync
"""

_FISH = """\
# fish completion for lbsync; made of its parser by python -m lbsync.cli.reference
function __lbsync_at
    set -l at lbsync
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$at $word"
            case @WORDS@
                set at "$at $word"
            case @TAKING@
                set skip 1
        end
    end
    test "$at" = "$argv[1]"
end
complete -c lbsync -f
"""


def bash() -> str:
    """Return what goes to share/bash-completion/completions/lbsync."""
    commands, own, everywhere = _parts()
    taking = [f"{name} {word}" for name, a in own if a.takes_value for word in a.names]
    values = [
        f"            {_quoted(f'{name} {word}')}) values={_quoted(_values(a))} ;;"
        for name, a in own
        for word in a.names
        if _values(a)
    ]
    values += [
        f"            *{_quoted(' ' + word)}) values={_quoted(_values(a))} ;;"
        for a in everywhere
        for word in a.names
        if _values(a)
    ]
    options = [
        f"            {_quoted(command.name)}) values={_quoted(' '.join(_words(command)))} ;;"
        for command in commands
    ]
    below = [
        f"            {_quoted(command.name)}) values={_quoted(_next(command))} ;;"
        for command in commands
        if _next(command)
    ]
    wide = [f"*{_quoted(' ' + word)}" for a in everywhere if a.takes_value for word in a.names]
    parts = {
        "WORDS": _alternatives(command.name for command in commands[1:]),
        "TAKING": " | ".join([*(_quoted(word) for word in taking), *wide]),
        "VALUES": "\n".join(values),
        "OPTIONS": "\n".join(options),
        "COMMANDS": "\n".join(below),
    }
    return _filled(_BASH, parts)


def zsh() -> str:
    """Return what goes to share/zsh/site-functions/_lbsync."""
    lines = ["#compdef lbsync", "# Made of lbsync's parser by python -m lbsync.cli.reference"]
    for command in _parts()[0]:
        specs = [_zsh_option(a) for a in command.arguments if a.names]
        if command.below:
            specs += ["': :->command'", "'*:: :->words'"]
        else:
            specs += [_zsh_word(a) for a in command.arguments if not a.names]
        lines += [
            "",
            f"{_function(command)}() {{",
            "    local curcontext=$curcontext state line",
            "    local -A opt_args",
            "    _arguments -C \\",
            *(f"        {spec} \\" for spec in specs),
            "        && return",
        ]
        if command.below:
            lines += ["    case $state in", "    command)", "        local -a commands=("]
            lines += [f"            {_zsh_described(c)}" for c in command.below]
            lines += ["        )", "        _describe command commands", "        ;;", "    words)"]
            lines += ["        case $line[1] in"]
            lines += [f"        {c.words[-1]}) {_function(c)} ;;" for c in command.below]
            lines += ["        esac", "        ;;", "    esac"]
        lines.append("}")
    lines += ["", "_lbsync_settings() {", "    local -a names=("]
    lines += [f"        {name}" for name in setting_names()]
    lines += ["    )", "    compadd -S = -a names", "}", "", '_lbsync "$@"']
    return "\n".join(lines) + "\n"


def fish() -> str:
    """Return what goes to share/fish/vendor_completions.d/lbsync.fish."""
    commands, own, everywhere = _parts()
    taking = [f"{name} {word}" for name, a in own if a.takes_value for word in a.names]
    taking += [f"* {word}" for a in everywhere if a.takes_value for word in a.names]
    parts = {
        "WORDS": " ".join(_quoted(command.name) for command in commands[1:]),
        "TAKING": " ".join(map(_quoted, taking)),
    }
    lines = [_filled(_FISH, parts).rstrip("\n")]
    for command in commands:
        here = f"complete -c lbsync -n {_quoted(f'__lbsync_at {_quoted(command.name)}', fish=True)}"
        for below in command.below:
            lines.append(f"{here} -a {below.words[-1]} -d {_quoted(below.summary, fish=True)}")
        for argument in command.arguments:
            if argument.names and not argument.is_setting:
                lines.append(f"{here} {_fish_option(argument)}")
            elif not argument.names and _values(argument):
                lines.append(f"{here} {_fish_values(argument)}")
    lines += [f"complete -c lbsync {_fish_option(argument)}" for argument in everywhere]
    return "\n".join(lines) + "\n"


def _parts() -> tuple[list[Command], list[tuple[str, Argument]], list[Argument]]:
    """Return all commands, the options that are each one's own, and those that are the same everywhere."""
    commands = [*command_line().all()]
    own = [
        (command.name, a)
        for command in commands
        for a in command.arguments
        if a.names and not a.is_setting
    ]
    return commands, own, [a for a in commands[0].arguments if a.names and a.is_setting]


def _filled(text: str, parts: dict[str, str]) -> str:
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], text)


def _quoted(text: str, *, fish: bool = False) -> str:
    """Return it as one word of a shell."""
    if fish:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "'\\''") + "'"


def _alternatives(words: Iterable[str]) -> str:
    return " | ".join(_quoted(word) for word in words)


def _values(argument: Argument) -> str:
    if argument.names == ("--set",):
        return " ".join(f"{name}=" for name in setting_names())
    return "@file" if argument.takes_file else " ".join(argument.choices)


def _words(command: Command) -> list[str]:
    return [name for argument in command.arguments for name in argument.names]


def _next(command: Command) -> str:
    """Return what a word that is no option may be."""
    if command.below:
        return " ".join(below.words[-1] for below in command.below)
    return next((_values(a) for a in command.arguments if not a.names and _values(a)), "")


def _function(command: Command) -> str:
    return "_" + "_".join(command.words).replace("-", "_")


def _zsh_described(command: Command) -> str:
    # A colon ends the name there.
    return _quoted(f"{command.words[-1]}:{command.summary}")


def _zsh_action(argument: Argument) -> str:
    """Return `:message:action` of `_arguments`."""
    message = re.sub(r"[:\\\[\]]", " ", argument.metavar) or "value"
    if argument.names == ("--set",):
        return f":{message}:_lbsync_settings"
    if argument.takes_file:
        return f":{message}:_files"
    return f":{message}:({' '.join(argument.choices)})" if argument.choices else f":{message}: "


def _zsh_option(argument: Argument) -> str:
    meaning = re.sub(r"([\\\[\]:])", r"\\\1", argument.meaning)
    value = _zsh_action(argument) if argument.metavar else ""
    if argument.metavar and argument.is_optional:
        value = ":" + value
    # The equals sign: its value may be the next word, or follow such a sign.
    names = [name + ("=" if value and name.startswith("--") else "") for name in argument.names]
    return " ".join(_quoted(f"*{name}[{meaning}]{value}") for name in names)


def _zsh_word(argument: Argument) -> str:
    return _quoted(("*" if argument.repeats else "") + _zsh_action(argument))


def _fish_values(argument: Argument) -> str:
    values = _values(argument)
    if values == "@file":
        return "-F"
    return f"-a {_quoted(values, fish=True)}" if values else ""


def _fish_option(argument: Argument) -> str:
    words = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in argument.names
    ]
    if argument.takes_value:
        words += ["-r", _fish_values(argument)]
    words.append(f"-d {_quoted(argument.meaning, fish=True)}")
    return " ".join(filter(None, words))
