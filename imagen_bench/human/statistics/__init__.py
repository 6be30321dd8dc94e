"""Statistics of human ratings: preferences, intervals, tests, Bradley-Terry, agreement, quality, planning."""
