"""The store that machines share (`PROTEINX_STORE`): its layout, what waits to be sent, references to what is in it.

    objects/<sha256>                           files by their digest: of stages, and those that people put there
    objects/<sha256>.json                      name of a file that somebody put there, and the files beside it
    stages/<stage>/<key>                       the entry of a computed stage, which lists its objects
    sequences/<policy>/<sha256>.safetensors    vectors of single sequences; `.keys` beside it says whose
    experiments/<id>/<generation>/...          results, reports, models; `experiment.json` comes last

Nodes and the Master use it alike. Nothing in it is believed: every file is hashed on arrival.
"""
