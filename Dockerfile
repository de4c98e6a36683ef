# duelbench on a CPU, from this folder:   docker build -t duelbench . && docker run --rm -v "$PWD/results:/home/duelbench/results" duelbench
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

RUN useradd --create-home duelbench
USER duelbench
WORKDIR /home/duelbench
ENTRYPOINT ["duelbench"]
CMD ["run", "--env", "LLMDuelPool-v0"]
