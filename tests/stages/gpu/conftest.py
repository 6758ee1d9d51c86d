"""What CUDA does otherwise than the CPU. Without a GPU, test_on_fake_device.py runs the others."""

import torch

if not torch.cuda.is_available():
    collect_ignore = ["test_autocast.py", "test_steps.py", "test_values.py"]
