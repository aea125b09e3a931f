"""The databases of the tests of whole services serve here as well."""

from tests.service.conftest import service_url

__all__ = ["service_url"]
