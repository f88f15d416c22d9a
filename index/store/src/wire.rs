//! Numbers and checked blobs as they stand in the files: numbers in groups of seven bits, lowest first, and blobs with
//! their CRC-32 (IEEE) behind, little endian.

pub const CRC_BYTES: usize = 4;

pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub fn bytes_of(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// What is left to read. A number that does not end or does not fit is `None`, as the end is.
pub struct Numbers<'a>(pub &'a [u8]);

impl<'a> Numbers<'a> {
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for (at, octet) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(octet & 0x7f);
            number |= bits.checked_shl(7 * at as u32)?;
            if octet & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Some(number);
            }
        }
        None
    }

    pub fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(octets)
    }
}

/// Appends the CRC of what stands from `start` on.
pub fn seal(out: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The content of a sealed blob; `None` if it is not what was written.
pub fn unseal(blob: &[u8]) -> Option<&[u8]> {
    let (content, crc) = blob.split_at_checked(blob.len().checked_sub(CRC_BYTES)?)?;
    (crc32fast::hash(content).to_le_bytes() == crc).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, behind: u8) {
            let mut out = Vec::new();
            put(&mut out, number);
            prop_assert_eq!(out.len(), bytes_of(number));
            out.push(behind);
            let mut numbers = Numbers(&out);
            prop_assert_eq!(numbers.number(), Some(number));
            prop_assert_eq!(numbers.0, &[behind][..]);
        }

        #[test]
        fn a_changed_blob_is_seen(mut blob in prop::collection::vec(any::<u8>(), 0..40), at: prop::sample::Index, bit in 0..8) {
            seal(&mut blob, 0);
            prop_assert!(unseal(&blob).is_some());
            let at = at.index(blob.len());
            blob[at] ^= 1_u8 << bit;
            prop_assert!(unseal(&blob).is_none());
        }
    }

    #[test]
    fn broken_numbers() {
        assert_eq!(Numbers(&[0x80; 20]).number(), None);
        assert_eq!(Numbers(&[]).number(), None);
        assert_eq!(unseal(&[0; 3]), None);
    }
}
