"""The demo's pictures and questions, none of which training has seen."""

from nvlm.data.showcase.exhibits import Exhibit, exhibits

__all__ = ["Exhibit", "exhibits"]
