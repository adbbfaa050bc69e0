//! What tags, stale windows, idle limits, floors and the horizon are to do, in the open.

use super::*;
use crate::core::clock::NEVER;
use crate::core::guards::Life;
use crate::core::snapshot::{Snapshot, tests::snapshot};

pub const FLOOR_MS: u64 = 30;
pub const RETRY_MS: u64 = 5;

#[derive(Clone, Debug)]
pub struct Kind {
    pub fresh_ms: Option<u64>,
    pub stale_ms: u64,
    pub error_ms: u64,
    pub absent: bool,
    pub tags: Vec<usize>,
    pub snapshot: Option<u64>,
}

pub fn tag_hash(tag: usize) -> u64 {
    (tag as u64) << 32
}

/// What transactions below `xmin` did is included.
pub fn read_under(xmin: u64) -> Snapshot {
    snapshot(xmin, xmin, &[])
}

impl Kind {
    pub fn life(&self, now: u64) -> Life {
        let fresh_until = self.fresh_ms.map_or(NEVER, |ms| now + ms);
        Life {
            fresh_until,
            stale_until: fresh_until.saturating_add(self.stale_ms).min(NEVER),
            error_until: fresh_until.saturating_add(self.error_ms).min(NEVER),
            absent: self.absent,
            tags: self.tags.iter().map(|&tag| tag_hash(tag)).collect(),
            snapshot: self.snapshot.map(|xmin| Box::new(read_under(xmin))),
        }
    }
}

#[derive(Clone)]
pub struct Item {
    pub value: u32,
    pub life: Life,
    pub idle_until: u64,
    pub retry_at: u64,
}

/// An entry for each key, in the open.
pub struct Model {
    pub items: [Option<Item>; 4],
    pub now: u64,
    pub idle_ms: Option<u64>,
    pub horizon: Option<u64>,
    /// What every load must be later than, by key, and by tag.
    pub changed: ([usize; 4], [usize; 4]),
    pub tokens: usize,
    /// Key or all, transaction, begun loads at the time, end.
    pub floors: Vec<(Option<u8>, u64, usize, u64)>,
    pub stats: Stats,
}

impl Model {
    pub fn new(idle_ms: Option<u64>) -> Self {
        Self {
            items: [const { None }; 4],
            now: 0,
            idle_ms,
            horizon: None,
            changed: ([0; 4], [0; 4]),
            tokens: 0,
            floors: Vec::new(),
            stats: Stats::default(),
        }
    }

    pub fn visible(&self) -> bool {
        self.horizon.is_none_or(|horizon| self.now < horizon)
    }

    pub fn item(&mut self, key: u8) -> &mut Option<Item> {
        let now = self.now;
        let item = &mut self.items[usize::from(key)];
        let end = |item: &Item| {
            let life = &item.life;
            item.idle_until.min(life.fresh_until.max(life.stale_until).max(life.error_until))
        };
        if item.as_ref().is_some_and(|item| end(item) != NEVER && now >= end(item)) {
            *item = None;
        }
        item
    }

    pub fn set(&mut self, key: u8, value: u32, life: Life) {
        let idle_until = self.idle_ms.map_or(NEVER, |ms| self.now + ms);
        *self.item(key) = Some(Item { value, life, idle_until, retry_at: 0 });
    }

    pub fn used(&mut self, key: u8) {
        let idle_until = self.idle_ms.map_or(NEVER, |ms| self.now + ms);
        if let Some(item) = self.item(key) {
            item.idle_until = idle_until;
        }
        self.stats.hits += 1;
    }

    pub fn phase(&mut self, key: u8) -> Option<(Phase, Item)> {
        let now = self.now;
        if !self.visible() {
            return None;
        }
        let item = self.item(key).clone()?;
        let before = |moment: u64| moment == NEVER || now < moment;
        let phase = match &item.life {
            life if before(life.fresh_until) && life.absent => Phase::Absent,
            life if before(life.fresh_until) => Phase::Fresh,
            life if before(life.stale_until) => Phase::Stale,
            _ => Phase::Spare,
        };
        Some((phase, item))
    }

    /// The value, and whether the caller is to load another.
    pub fn consult(&mut self, key: u8) -> (Option<u32>, bool) {
        let (now, phase) = (self.now, self.phase(key));
        match phase {
            Some((Phase::Fresh, item)) => {
                self.used(key);
                (Some(item.value), false)
            }
            Some((Phase::Absent, _)) => {
                self.used(key);
                self.stats.negative_hits += 1;
                (None, false)
            }
            Some((Phase::Stale, item)) => {
                let reload = now >= item.retry_at;
                if let Some(kept) = self.item(key).as_mut().filter(|_| reload) {
                    kept.retry_at = now + RETRY_MS;
                }
                self.used(key);
                self.stats.stale_hits += 1;
                (Some(item.value), reload)
            }
            Some((Phase::Spare, item)) if now < item.retry_at => {
                self.used(key);
                self.stats.stale_hits += 1;
                (Some(item.value), false)
            }
            _ => {
                self.stats.misses += 1;
                (None, true)
            }
        }
    }

    pub fn admits(&mut self, key: u8, kind: &Kind, token: usize) -> bool {
        let now = self.now;
        let lost = self.floors.iter().filter(|floor| floor.3 <= now).map(|floor| floor.2).max();
        let current = token >= self.changed.0[usize::from(key)]
            && kind.tags.iter().all(|&tag| token >= self.changed.1[tag])
            && lost.is_none_or(|lost| token >= lost)
            && self
                .floors
                .iter()
                .filter(|floor| floor.3 > now && floor.0.is_none_or(|other| other == key))
                .all(|floor| kind.snapshot.is_some_and(|xmin| floor.1 < xmin));
        *(if current { &mut self.stats.fills } else { &mut self.stats.refused_fills }) += 1;
        current
    }

    pub fn drop_unless_including(&mut self, key: u8, xid: u64) {
        let item = self.item(key);
        let includes = |item: &Item| item.life.snapshot.as_ref().is_some_and(|s| s.settles(xid));
        if item.as_ref().is_some_and(|item| !includes(item)) {
            *item = None;
        }
    }

    pub fn get(&mut self, key: u8) -> Option<u32> {
        match self.phase(key) {
            Some((Phase::Fresh, item)) => {
                self.used(key);
                return Some(item.value);
            }
            Some((Phase::Absent, _)) => {
                self.used(key);
                self.stats.negative_hits += 1;
            }
            _ => self.stats.misses += 1,
        }
        None
    }

    pub fn rescue(&mut self, key: u8) -> Option<u32> {
        let now = self.now;
        let (phase, item) = self.phase(key).filter(|(phase, _)| *phase != Phase::Absent)?;
        if let Some(item) = self.item(key) {
            item.retry_at = now + RETRY_MS;
        }
        self.stats.stale_hits += u64::from(phase != Phase::Fresh);
        Some(item.value)
    }

    pub fn invalidate_tag(&mut self, tag: usize) {
        let carries = |item: &Item| item.life.tags.contains(&tag_hash(tag));
        for item in &mut self.items {
            *item = item.take().filter(|item| !carries(item));
        }
        self.changed.1[tag] = self.tokens + 1;
    }

    /// Of one key, or of all.
    pub fn announce(&mut self, key: Option<u8>, xid: u64) {
        let keys = key.map_or(0..4, |key| key..key + 1);
        keys.for_each(|key| self.drop_unless_including(key, xid));
        self.floors.push((key, xid, self.tokens + 1, self.now + FLOOR_MS));
    }

    pub fn keys(&mut self) -> Vec<u8> {
        (0..4).filter(|&key| matches!(self.phase(key), Some((Phase::Fresh, _)))).collect()
    }

    pub fn counted(stats: &Stats) -> [u64; 6] {
        let reads = [stats.hits, stats.misses, stats.stale_hits, stats.negative_hits];
        let [hits, misses, stale, negative] = reads;
        [hits, misses, stale, negative, stats.fills, stats.refused_fills]
    }
}
