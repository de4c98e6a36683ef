# duelbench on a CPU, from this folder:
#   docker build -t duelbench .
#   mkdir -p results && docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/results:/bench/results" duelbench
# Not yet built by a container engine. Tried without one: the package installed from a copy of the files below alone, and run
# as another user in a folder that it may not write to.
FROM python:3.12-slim

ENV OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY pyproject.toml constraints-cpu.txt README.md LICENSE ./
COPY duelbench duelbench
COPY agents agents
COPY envs envs
COPY experiments experiments
# torch first and alone, so that nothing else decides which build comes
RUN pip install -c constraints-cpu.txt torch \
    && pip install -c constraints-cpu.txt ".[lm,data,tune]"

# Any user may run it: the only folder it writes to is the one mounted at /bench/results.
ENV HOME=/tmp
WORKDIR /bench
ENTRYPOINT ["duelbench"]
CMD ["run", "--env", "LLMDuelPool-v0"]
