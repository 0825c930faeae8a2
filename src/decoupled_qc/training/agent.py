"""torchrun that ends with the job that started it, however that ends.

python -m decoupled_qc.training.agent PROCESS-ID-OF-THE-JOB ARGUMENTS-OF-TORCHRUN
"""

import sys

from torch.distributed.run import main

from decoupled_qc.training.parallel import end_with

if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    main(sys.argv[2:])
