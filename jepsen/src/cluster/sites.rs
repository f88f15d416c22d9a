//! `2+1`: nodes per site.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites(Vec<u64>);

impl Default for Sites {
    fn default() -> Sites {
        Sites(vec![2, 1])
    }
}

impl Sites {
    /// Ids from 1, each with its site.
    pub fn nodes(&self) -> Vec<(u64, String)> {
        let names = ('a'..='z').map(String::from);
        let sites = self.0.iter().zip(names);
        let all = sites.flat_map(|(count, name)| (0..*count).map(move |_| name.clone()));
        (1..).zip(all).collect()
    }
}

impl FromStr for Sites {
    type Err = String;

    fn from_str(text: &str) -> Result<Sites, String> {
        let counts: Result<Vec<u64>, _> = text.split('+').map(str::parse).collect();
        match counts {
            Ok(counts)
                if counts.len() <= 5 && counts.iter().all(|count| (1..=5).contains(count)) =>
            {
                Ok(Sites(counts))
            }
            _ => Err("nodes per site, as 2+1, 1+1+1 or 2+2+1".to_owned()),
        }
    }
}

impl fmt::Display for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&counts.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::Sites;

    #[test]
    fn nodes_are_numbered_through() {
        let sites: Sites = "2+1".parse().expect("a layout");
        let nodes = sites.nodes();
        assert_eq!(
            nodes,
            [
                (1, "a".to_owned()),
                (2, "a".to_owned()),
                (3, "b".to_owned())
            ]
        );
        assert_eq!(sites.to_string(), "2+1");
        assert!("2+0".parse::<Sites>().is_err() && "x".parse::<Sites>().is_err());
    }
}
