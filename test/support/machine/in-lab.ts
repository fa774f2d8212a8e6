// Every test of test/lab imports this first: these tests change the machine, so they may only run in the lab.
if (process.env['BANGER_LAB'] !== '1') throw new Error('this test belongs into the lab: make lab LAB=…');
