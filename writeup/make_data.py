"""Write data.txt, 400 values drawn from a mixture of four Gaussians.

Usage: python make_data.py > ../data.txt
"""

import numpy as np

MEANS = 2, 4.5, 9, 14
SDS = 0.6, 0.3, 0.6, 1.2  # standard deviations
SIZE = 100  # values from each component

if __name__ == "__main__":
    rng = np.random.RandomState(10)
    data = np.concatenate([rng.normal(mu, sd, SIZE) for mu, sd in zip(MEANS, SDS)])
    rng.shuffle(data)
    print(*(f"{x:.6f}" for x in data), sep="\n")
