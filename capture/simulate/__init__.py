"""A rehearsal rig: a DSLR over PTP/IP and three phones over ADB, as processes of their own."""
