//! Lists on a control connection: in packs, each a head of its own, so that a list may be longer than a head, and grows in the memory
//! of its receiver only as it comes.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::remote::{ControlError, Incoming, Outgoing};
use crate::wire::WireError;

/// Most items of a pack. The longest of them, the counts of a side, are some 350 bytes.
pub(super) const PACK: usize = 1024;

impl Outgoing {
    /// A list.
    pub(super) async fn put_list<H: Serialize>(&mut self, items: &[H]) -> Result<(), ControlError> {
        for pack in items.chunks(PACK) {
            self.put(&pack, &[]).await?;
        }
        Ok(())
    }
}

impl Incoming {
    /// The next pack of a list of which so many are missing.
    pub(super) async fn pack<H: DeserializeOwned>(
        &mut self,
        what: &'static str,
        missing: usize,
    ) -> Result<Vec<H>, ControlError> {
        let most = missing.min(PACK);
        let pack: Vec<H> = self.must(what).await?;
        if (1..=most).contains(&pack.len()) {
            return Ok(pack);
        }
        let expected = format!("1 to {most}");
        Err(WireError::Field { field: "the length of a list", found: pack.len() as u64, expected }.into())
    }

    /// A list of exactly so many.
    pub(super) async fn list<H: DeserializeOwned>(
        &mut self,
        what: &'static str,
        count: usize,
    ) -> Result<Vec<H>, ControlError> {
        let mut items = Vec::new();
        while items.len() < count {
            items.extend(self.pack(what, count - items.len()).await?);
        }
        Ok(items)
    }

    /// The next head, which has to come.
    pub(super) async fn must<H: DeserializeOwned>(&mut self, what: &'static str) -> Result<H, ControlError> {
        let head = self.head(what).await?;
        head.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}
