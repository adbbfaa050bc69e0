//! LZ4 blocks with their plain length in front, bounded before anything is allocated.

/// The longest payload that is compressed, and that a compressed frame may claim to hold.
pub const PLAIN_MAX: usize = 16 << 20;
/// Bytes of the plain length.
const LENGTH: usize = 4;
/// An LZ4 block never grows by more than this factor.
const RATIO_MAX: usize = 255;

/// The payload compressed; `None` if that would not make it shorter.
pub fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PLAIN_MAX)?;
    let mut block = vec![0; LENGTH + lz4_flex::block::get_maximum_output_size(payload.len())];
    let size = lz4_flex::block::compress_into(payload, &mut block[LENGTH..]).ok()?;
    block[..LENGTH].copy_from_slice(&length.to_le_bytes());
    block.truncate(LENGTH + size);
    (block.len() < payload.len()).then_some(block)
}

/// The payload of a block; `None` if it is not exactly as long as it says, or says too much.
pub fn decompress(block: &[u8]) -> Option<Vec<u8>> {
    let (length, block) = block.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > PLAIN_MAX || length > block.len().saturating_mul(RATIO_MAX) {
        return None;
    }
    let mut payload = vec![0; length];
    let size = lz4_flex::block::decompress_into(block, &mut payload).ok()?;
    (size == length).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back() {
        for payload in [vec![0; 1_000], b"abcabcabc".repeat(500), vec![7; PLAIN_MAX]] {
            let block = compress(&payload).unwrap();
            assert!(block.len() < payload.len());
            assert_eq!(decompress(&block), Some(payload));
        }
    }

    #[test]
    fn what_would_grow_or_is_too_long_is_not_compressed() {
        assert_eq!(compress(b""), None);
        assert_eq!(compress(b"abcdefgh"), None);
        assert_eq!(compress(&vec![0; PLAIN_MAX + 1]), None);
    }

    #[test]
    fn a_block_that_claims_more_than_it_can_hold_is_refused() {
        let mut block = compress(&vec![0; 100_000]).unwrap();
        for claim in [0, 99_999, 100_001, 16 << 20, u32::MAX] {
            block[..LENGTH].copy_from_slice(&claim.to_le_bytes());
            assert_eq!(decompress(&block), None, "{claim}");
        }
        // One that is consistent and still too long.
        let mut bomb = lz4_flex::block::compress(&vec![0; PLAIN_MAX + 1]);
        let length = u32::try_from(PLAIN_MAX + 1).unwrap();
        bomb.splice(0..0, length.to_le_bytes());
        assert_eq!(decompress(&bomb), None);
    }
}
