// A vCenter to test against: govmomi's simulator with labelled guests and one that refuses changes.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// A guest that its user may look at and not change.
type readOnly struct{ simulator.VirtualMachine }

func (vm *readOnly) ReconfigVMTask(_ *simulator.Context, _ *types.ReconfigVM_Task) soap.HasFault {
	return &methods.ReconfigVM_TaskBody{Fault_: simulator.Fault("Permission to perform this operation was denied.",
		&types.NoPermission{Object: vm.Self, PrivilegeId: "VirtualMachine.Config.Resource"})}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	guests := flag.Int("guests", 4, "how many there are; DC0_H0_VM0 refuses changes")
	program := flag.String("program", "", "the label of all guests but DC0_H0_VM1, or empty")
	flag.Parse()
	log.SetOutput(io.Discard)
	model := simulator.VPX()
	model.Cluster, model.Pool, model.Host, model.Autostart, model.Machine = 0, 0, 2, false, (*guests+1)/2
	if err := model.Create(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		if *program != "" && vm.Name != "DC0_H0_VM1" {
			vm.Config.ExtraConfig = append(vm.Config.ExtraConfig,
				&types.OptionValue{Key: "prestage.program", Value: *program})
		}
		vm.Summary.QuickStats.GuestMemoryUsage, vm.Summary.QuickStats.HostMemoryUsage = 24, 30
		if vm.Name == "DC0_H0_VM0" {
			simulator.Map.Put(&readOnly{*vm})
		}
	}
	user := url.UserPassword("prestage@vsphere.local", os.Getenv("VCSIM_PASSWORD"))
	model.Service.Listen = &url.URL{Host: *listen, User: user}
	model.Service.TLS = new(tls.Config)
	fmt.Println(model.Service.NewServer().URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin) // Ends with the test that started it.
}
