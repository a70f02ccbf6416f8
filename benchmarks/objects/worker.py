"""A fresh process for object stores."""

from benchmarks.objects.tasks import ObjectSession
from benchmarks.worker import serve

if __name__ == "__main__":
    serve(ObjectSession)
