"""`proteinx completion`: the script that a shell sources to complete commands, ids, sources and flags."""

import click

from proteinx_pipelines.cli.lazy import examples

_VARIABLE = "_PROTEINX_COMPLETE"
"""Environment variable by which click recognizes a completion request."""
_BASH = """\
_proteinx_completion() {
    # The line is split at blanks alone: bash itself splits `model.name=gp` into three words.
    local line="${COMP_LINE:0:COMP_POINT}" words cword type value current
    read -r -a words <<< "$line"
    cword=$(( ${#words[@]} - 1 ))
    if [[ "$line" == *" " ]]; then cword=$(( cword + 1 )); fi
    current="${words[$cword]}"
    COMPREPLY=()
    while IFS=, read -r type value; do
        if [[ "$type" == dir ]]; then compopt -o dirnames
        elif [[ "$type" == file ]]; then compopt -o default
        else
            if [[ "$value" == *= ]]; then compopt -o nospace; fi
            if [[ "$current" == *=* ]]; then value="${value#*=}"; fi
            COMPREPLY+=("$value")
        fi
    done < <(COMP_WORDS="$line" COMP_CWORD=$cword _PROTEINX_COMPLETE=bash_complete "$1" 2>/dev/null)
    return 0
}
complete -o nosort -F _proteinx_completion proteinx
"""


@click.command(
    "completion",
    epilog=examples(
        "proteinx completion bash > ~/.local/share/bash-completion/completions/proteinx",
        "proteinx completion zsh > ~/.zfunc/_proteinx      # with ~/.zfunc in fpath",
        "proteinx completion fish > ~/.config/fish/completions/proteinx.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL for commands, options, experiment ids, sources and flags."""
    if shell == "bash":
        click.echo(_BASH, nl=False)
        return
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # click defines the choices
    click.echo(found(context.find_root().command, {}, "proteinx", _VARIABLE).source(), nl=False)
