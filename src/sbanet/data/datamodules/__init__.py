"""One LightningDataModule a dataset, over one shared base."""

from sbanet.data.datamodules.aeroscenes import AeroScenesDataModule
from sbanet.data.datamodules.base import ReferringDataModule
from sbanet.data.datamodules.instances import InstancesDataModule
from sbanet.data.datamodules.open import OpenDataModule
from sbanet.data.datamodules.phrase_folders import PhraseFoldersDataModule
from sbanet.data.datamodules.refer import ReferDataModule

__all__ = [
    "AeroScenesDataModule",
    "InstancesDataModule",
    "OpenDataModule",
    "PhraseFoldersDataModule",
    "ReferDataModule",
    "ReferringDataModule",
]
