//! Sums over a grid in blocks of fixed length: the same bits on any number of threads.

use rayon::prelude::*;

/// Points of one block: enough to hide the cost of a task, few enough to share.
pub const BLOCK: usize = 8192;

/// Adds up what `part` returns for each block of points, in the order of the blocks.
pub fn over_blocks<const N: usize>(
    points: usize,
    part: impl Fn(std::ops::Range<usize>) -> [f64; N] + Sync + Send,
) -> [f64; N] {
    let parts: Vec<[f64; N]> = (0..points.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| part(block * BLOCK..((block + 1) * BLOCK).min(points)))
        .collect();
    added(&parts)
}

/// The parts, added in their order.
pub fn added<const N: usize>(parts: &[[f64; N]]) -> [f64; N] {
    parts.iter().fold([0.0; N], |mut sums, part| {
        for (sum, value) in sums.iter_mut().zip(part) {
            *sum += value;
        }
        sums
    })
}
