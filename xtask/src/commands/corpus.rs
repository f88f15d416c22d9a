//! `corpus`: brings, makes and trains.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::{CorpusArgs, CorpusCommand};
use crate::corpus::{bring, dictionary, mix};

pub fn run(root: &Path, args: CorpusArgs) -> Result<()> {
    // Defaults lie in the workspace, whatever the caller's folder; what the caller names is his to place.
    let place = |path: PathBuf, default: &str| {
        if path == Path::new(default) {
            root.join(path)
        } else {
            path
        }
    };
    match args.command {
        Some(CorpusCommand::TrainDictionary { corpus, out }) => {
            let out = place(out, "engine/events/dictionary/default-v1.zdict");
            dictionary::run(&place(corpus, "corpus"), &out)
        }
        None => match args.mix {
            Some(count) => {
                let out = args.out.unwrap_or_else(|| root.join("corpus-mix"));
                mix::run(&place(args.corpus, "corpus"), &out, count, args.seed)
            }
            None => bring::run(&args.out.unwrap_or_else(|| root.join("corpus"))),
        },
    }
}
