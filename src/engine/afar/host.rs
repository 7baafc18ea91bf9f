//! The worker's side of virtual time: it holds one shard and does what it is asked, until the coordinator says farewell or its
//! connection ends.

use std::ops::Range;
use std::sync::Arc;

use super::errands::{Heard, next_errand};
use super::replies::{Asked, put_reply};
use super::site::Site;
use crate::engine::crash;
use crate::engine::remote::{ControlError, Incoming, Limits, Outgoing, Parting};
use crate::engine::virtual_time::VirtualSettings;
use crate::engine::virtual_time::laws::shard;
use crate::engine::virtual_time::shard::Member;
use crate::math::Real;

/// What a worker holds.
pub(crate) struct Stead {
    pub(crate) limits: Limits,
    pub(crate) settings: VirtualSettings,
    /// Its nodes.
    pub(crate) own: Range<usize>,
}

/// Holds them. Their weights are zero until the coordinator installs others.
pub(crate) async fn host<T: Real>(
    stead: Stead,
    mut incoming: Incoming,
    mut outgoing: Outgoing,
) -> Result<Parting, ControlError> {
    let Stead { limits, settings, own } = stead;
    let mut shard = shard::<T>(&Arc::clone(&limits.network), &settings, own.clone());
    let mut site = Site::new(limits, own);
    while let Some(heard) = next_errand::<T>(&mut incoming, &site).await? {
        let Heard::Errand(errand) = heard else { return Ok(Parting::Farewell) };
        site.note(&errand);
        let asked = Asked::by(&errand);
        crash::point("worker.errand");
        let reply = shard.perform(errand);
        crash::point("worker.performed");
        put_reply(&mut outgoing, reply, &asked, || shard.counts()).await?;
    }
    Ok(Parting::Cut)
}
