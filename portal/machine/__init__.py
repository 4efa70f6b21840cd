"""The machine that portal and apps run on: users, permissions, processes, environments and the supervisor."""
