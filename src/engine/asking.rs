//! Questions and directives for single layers, outside of phases, for whoever measures.

use std::sync::Arc;

use super::actor::News;
use super::coordinator::Coordinator;
use super::{Engine, EngineError};
use crate::math::{Field, Real};
use crate::signal::{Directive, Extract, Wanted};

impl<T: Real> Engine<T> {
    /// Shows the input other data of the same size (`n_0 × batch`) in the middle of a batch: a wave upward.
    pub fn show(&mut self, data: &Field<T>) -> Result<(), EngineError> {
        let data = Arc::new(data.clone());
        let mut nodes = self.coordinator.nodes_of(0);
        nodes.try_for_each(|node| self.coordinator.tell(node, Directive::Show(Arc::clone(&data))))
    }

    /// Asks every node for something: every group, where layers are cut. In their order.
    pub fn extract_of_nodes(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        self.runtime.block_on(self.coordinator.extract_of_nodes(wanted))
    }

    /// What the clock of a layer's process says, in nanoseconds. The answer comes as fast as the layer can give it.
    pub fn clock(&mut self, layer: usize) -> Result<u64, EngineError> {
        let node = self.coordinator.nodes_of(layer).start;
        match self.runtime.block_on(self.coordinator.ask_one(node, Wanted::Clock))? {
            Extract::Seen(seen) => Ok(seen.clock),
            // Whoever drives a layer answers this with nothing else.
            _ => Err(EngineError::Ended { whereabouts: self.coordinator.whereabouts.to_string() }),
        }
    }
}

impl<T: Real> Coordinator<T> {
    /// Asks one node alone.
    async fn ask_one(&mut self, node: usize, wanted: Wanted) -> Result<Extract<T>, EngineError> {
        self.watchdog.wake();
        self.tell(node, Directive::Extract(wanted))?;
        loop {
            match self.next_news(None).await? {
                Some(News::Extract(from, extract)) if from == node => return Ok(*extract),
                Some(_) => {}
                None => {
                    let whereabouts = self.whereabouts.to_string();
                    return Err(EngineError::Ended { whereabouts });
                }
            }
        }
    }
}
