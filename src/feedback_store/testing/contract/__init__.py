"""`StoreContract`: every sentence of `feedback_store.store` as a test, one property each."""

from feedback_store.testing.contract.adding import AddingContract
from feedback_store.testing.contract.changing import ChangingContract
from feedback_store.testing.contract.erasing import ErasingContract
from feedback_store.testing.contract.facade import FacadeContract
from feedback_store.testing.contract.faster import FasterWaysContract
from feedback_store.testing.contract.lifetime import LifetimeContract
from feedback_store.testing.contract.pages import PagesContract
from feedback_store.testing.contract.scanning import ScanningContract
from feedback_store.testing.contract.threads import ThreadsContract

__all__ = ["StoreContract"]


class StoreContract(
    AddingContract,
    ScanningContract,
    ChangingContract,
    ErasingContract,
    LifetimeContract,
    ThreadsContract,
    FacadeContract,
    PagesContract,
    FasterWaysContract,
):
    """What every store must pass. Subclass it under a name that pytest collects.

    ::

        class TestMyStore(StoreContract):
            @pytest.fixture(autouse=True)
            def _folder(self, tmp_path):
                self.folders = (tmp_path / str(number) for number in itertools.count())

            def make_store(self):
                return MyStore(next(self.folders))

            def reopen(self, store):
                store.close()
                return MyStore(store.folder)

    `open_second` and `raw_bytes` are given in the same way. What a store cannot do is said by
    ``gaps``, from the name of a test to the reason: that test must then fail (a strict xfail).
    """
