"""Jobs: requests for work, as rows. A job ends once; its experiment is what it works on."""
