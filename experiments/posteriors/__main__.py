"""``python -m duelbench.experiments.posteriors``: play what the records lack, and write RESULTS.md."""

from rich.progress import track

from duelbench.experiments.posteriors.study import RECORDS, WORLDS, scores, wanted
from duelbench.experiments.posteriors.tables import read, results, write
from duelbench.records.files import write_atomic

if __name__ == "__main__":
    rows = read()
    played = {key[:3] for key in rows}
    for run in track([run for run in wanted() if run not in played], "learning"):
        title, posterior, seed = run
        for row in scores(WORLDS[title], posterior, seed):
            rows[title, posterior, seed, int(row.pop("labels"))] = row
        write(rows)
    write_atomic(RECORDS.with_name("RESULTS.md"), results(rows))
