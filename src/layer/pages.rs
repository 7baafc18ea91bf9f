//! Published blocks of numbers, recycled: a layer writes a page, neighbours read it through an `Arc`, and when the last
//! reader has let go it is written again. In a steady state nothing is allocated and nothing is copied.

use std::sync::Arc;

use ndarray::Array2;

use crate::math::{Field, Real};

/// The pages of one link direction.
#[derive(Debug)]
pub(super) struct Pages<T> {
    pages: Vec<Arc<Field<T>>>,
    /// The one after that last written: what was published first is mostly let go of first.
    next: usize,
}

impl<T: Real> Pages<T> {
    pub(super) fn new() -> Self {
        Self { pages: Vec::new(), next: 0 }
    }

    /// Writes a page that nobody reads and publishes it. What it holds before is not defined.
    pub(super) fn publish(&mut self, units: usize, batch: usize, write: impl FnOnce(&mut Field<T>)) -> Arc<Field<T>> {
        // Pages of another batch size go as soon as their readers do.
        if self.pages.last().is_some_and(|page| page.dim() != (units, batch)) {
            self.pages.clear();
        }
        let count = self.pages.len();
        let in_turn = (self.next..count).chain(0..self.next.min(count));
        let free = in_turn.into_iter().find(|&index| Arc::get_mut(&mut self.pages[index]).is_some());
        let index = free.unwrap_or_else(|| {
            self.pages.reserve_exact(1);
            self.pages.push(Arc::new(Array2::zeros((units, batch))));
            count
        });
        self.next = index + 1;
        write(Arc::get_mut(&mut self.pages[index]).expect("a free page has no reader"));
        Arc::clone(&self.pages[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_use_is_never_written_and_a_free_one_is_reused() {
        let mut pages = Pages::<f32>::new();
        let first = pages.publish(2, 3, |page| page.fill(1.0));
        let second = pages.publish(2, 3, |page| page.fill(2.0));
        assert_eq!((first[[0, 0]], second[[0, 0]]), (1.0, 2.0));
        let address = Arc::as_ptr(&first);
        drop(first);
        assert_eq!(Arc::as_ptr(&pages.publish(2, 3, |page| page.fill(3.0))), address);
        assert_eq!(pages.pages.len(), 2);
        pages.publish(2, 5, |page| page.fill(4.0));
        assert_eq!(pages.pages.len(), 1, "pages of another batch size are gone");
        assert_eq!(second[[1, 2]], 2.0, "but their reader still has its own");
    }
}
