"""A rank's environment: what its launcher says, without what the shell around it adds."""

import os

FOREIGN = (
    "AZUREML_", "DLTS_", "DS_ACCELERATOR", "MPI_LOCAL", "OMPI_", "PMI_", "PMIX_", "SM_TRAINING_ENV",
)  # fmt: skip
"""Variables of another launcher, by their beginnings: inside an allocation of MPI, AzureML or
SageMaker DeepSpeed would take the ranks of its shell for ours, or refuse them."""


def own_environment() -> None:
    """Drop other launchers' variables, and correct our launcher's; before torch is loaded.

    CUDA shows a process only the first of several MIG slices, so rank n is left with the n-th. On a
    single machine the ranks meet at the loopback address, as the machine's name may not resolve.
    """
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    if local_rank < len(visible) and visible[local_rank].strip().startswith("MIG-"):
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[local_rank].strip()
    if os.environ.get("WORLD_SIZE", "1") == os.environ.get("LOCAL_WORLD_SIZE"):
        os.environ["MASTER_ADDR"] = "127.0.0.1"
