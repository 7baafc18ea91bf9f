//! Many pieces of work on a few threads; results in the order of the work, whoever made them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Makes every piece; `told` hears how many are done, and of how many.
pub(super) fn parallel<J: Sync, R: Send>(
    jobs: usize,
    work: &[J],
    make: impl Fn(&J) -> R + Sync,
    told: &(dyn Fn(usize, usize) + Sync),
) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Vec<Mutex<Option<R>>> = work.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, work.len().max(1)) {
            scope.spawn(|| {
                while let Some((piece, result)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    work.get(index).zip(results.get(index))
                } {
                    let made = make(piece);
                    *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
                    told(done.fetch_add(1, Ordering::Relaxed) + 1, work.len());
                }
            });
        }
    });
    // The scope ends when every piece is made; a panic in one goes on here.
    results.into_iter().filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work_on_any_number_of_threads() {
        let work: Vec<u64> = (0..100).collect();
        for jobs in [0, 1, 3, 200] {
            let told = AtomicUsize::new(0);
            let made = parallel(jobs, &work, |&n| n * n, &|_, all| {
                assert_eq!(all, 100);
                told.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(made, work.iter().map(|n| n * n).collect::<Vec<_>>(), "{jobs} jobs");
            assert_eq!(told.into_inner(), 100);
        }
    }
}
