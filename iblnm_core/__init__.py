"""The science of the pipeline: sources, stages of one session, cohort analyses, storage. Never imports dagster."""

__version__ = "0.1.0"
