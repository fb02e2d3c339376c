"""Other systems that prove phones by code, measured in turn with ours: `python -m bench peers`."""
