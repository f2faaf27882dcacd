"""Archives: the results of one sweep in a file that travels, and that whoever gets it can verify, tabulate and extend.

    sweeps/<sweep>/sweep.json, plans/001.json   the plan and those the sweep had before; without paths of the machine
    trials/<trial_id>/trial.json                what the id is a function of
    trials/<trial_id>/attempt_001.json          every ended attempt
    trials/<trial_id>/points.jsonl              the curves of these attempts
    trials/<trial_id>/images_001.npz            counts per test image, and pictures
    trials/<trial_id>/last.pt                   weights, if they were asked for
    code/<digest>.json                          digests of the files of the trainer that ran
    manifest.json                               our mark, the version of the format; size and SHA-256 of each other file

It is a zip file with the layout of a run directory (`orchestrator.store.keys`), and equal results have equal bytes:
files are sorted and not compressed, times are those of 1980, and nothing says when, where or by whom it was made.
"""
