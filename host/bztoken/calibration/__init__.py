"""Calibration: what recordings at known distances say of a band. Receivers' offsets, bounds, and how well they tell.

`recordings` reads, `windows` averages, `device_offsets` fits, `judging` asks how well 2 m are told apart with the
measures of `quality`, `bands` chooses the bounds, `roc_chart` draws. Nothing here turns RSSI into metres.
"""
