//! The operator's choice for when only one site is left, as it is written in configurations and on the command line.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SiteLoss {
    /// They are refused.
    Strict,
    /// They go on, acknowledged by one site, and health says so.
    #[default]
    Degrade,
}

impl SiteLoss {
    pub fn name(self) -> &'static str {
        match self {
            SiteLoss::Strict => "strict",
            SiteLoss::Degrade => "degrade",
        }
    }
}

impl From<SiteLoss> for raft_api::OnSiteLoss {
    fn from(site_loss: SiteLoss) -> raft_api::OnSiteLoss {
        match site_loss {
            SiteLoss::Strict => raft_api::OnSiteLoss::Strict,
            SiteLoss::Degrade => raft_api::OnSiteLoss::Degrade,
        }
    }
}
